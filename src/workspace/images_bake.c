#include "images_priv.h"
int images_bake(struct images_loader *l, str text, str file, struct cairn_err *err)
{
	(void)l;
	(void)text;
	return cairn_fail_at(err, file.ptr, 0, 0, "not read yet");
}
int images_compose(struct images_loader *l, str text, str file, struct cairn_err *err)
{
	(void)l;
	(void)text;
	return cairn_fail_at(err, file.ptr, 0, 0, "not read yet");
}
