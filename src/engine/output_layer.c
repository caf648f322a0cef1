/* Layers on their way out: brought into the forms that the outputs want. */
#include "output_priv.h"

int out_meter_write(void *meter, const void *p, size_t n, struct cairn_err *err)
{
	struct out_meter *m = meter;

	if (atomic_load_explicit(&m->o->stop, memory_order_relaxed))
		return cairn_fail(err, CAIRN_E_CANCELLED, "stopped; finished steps are kept");
	atomic_fetch_add_explicit(&m->o->at, n, memory_order_relaxed);
	return m->to ? m->to->write(m->to->ctx, p, n, err) : 0;
}

int out_layer_prepare(struct out_layer *l, struct cairn_err *err)
{
	TRY(layer_blob_open(&l->src, err));
	for (size_t i = 0; i < l->o->n_forms; i++)
		TRY(layer_blob_get(&l->src, &l->o->forms[i], &l->blobs[i], err));
	return layer_blob_learn(&l->src, err);
}

int out_layer_tar(const struct out_layer *l, const struct layer_sink *sink, struct cairn_err *err)
{
	struct layer_blob_source copy = l->src;

	return layer_blob_tar(&copy, sink, err);
}
