/* net/aws_json.h - services of AWS that speak JSON: ECR, CodeBuild, CloudWatch Logs, ...
 *
 * The protocol "AWS JSON 1.1" (https://smithy.io/2.0/aws/protocols/aws-json-1_1-protocol.html):
 * POST / with the operation in X-Amz-Target, an object in and an object out.
 */
#ifndef CAIRN_NET_AWS_JSON_H
#define CAIRN_NET_AWS_JSON_H

#include "aws.h"
#include "util/json.h"

#define AWS_JSON_MAX (8u << 20) /* bytes of an answer */

struct aws_call {
	const char *service;  /* that the signature names: "codebuild" */
	const char *endpoint; /* of the endpoint's name; NULL: service */
	const char *region;   /* NULL: aws_region() */
	const char *target;   /* "CodeBuild_20161006.StartBuild" */
	const char *what;     /* for messages: "CodeBuild (codebuild:StartBuild)" */
	str body;             /* JSON */
	bool secret;          /* the answer is not quoted in errors */
};

/* Call. ret_code (may be NULL) gets the service's own name of the error, "" for none.
 * *ret is owned. Fails as aws_send() and aws_fail(), and with CAIRN_E_SYNTAX for an answer that is
 * no object. */
int aws_call(struct aws *a, const struct aws_call *c, json_t **ret, char ret_code[64],
             struct cairn_err *err);

#endif
