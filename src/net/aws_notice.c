/* net/aws_notice.c - will this instance be taken away?
 *
 * https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/spot-instance-termination-notices.html
 * https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/rebalance-recommendations.html
 */
#include "aws_priv.h"

/* In the order of what they mean; 404 is "no". */
static const struct {
	const char *path;
	enum aws_notice means;
} notices[] = {
	{ "/latest/meta-data/spot/instance-action", AWS_NOTICE_STOP },
	{ "/latest/meta-data/events/recommendations/rebalance", AWS_NOTICE_REBALANCE },
};

int aws_notice(struct aws *a, enum aws_notice *ret, struct cairn_err *err)
{
	if (!aws_imds_enabled(a))
		return cairn_fail(err, CAIRN_E_NOT_FOUND,
		                  "AWS_EC2_METADATA_DISABLED says not to ask");
	for (size_t i = 0; i < ARRAY_SIZE(notices); i++) {
		struct strbuf text cleanup_strbuf;
		bool found = false;

		strbuf_init(&text, AWS_CREDS_MAX);
		TRY(aws_imds_get(a, notices[i].path, &text, &found, err));
		if (found) {
			*ret = notices[i].means;
			return 0;
		}
	}
	*ret = AWS_NOTICE_NONE;
	return 0;
}
