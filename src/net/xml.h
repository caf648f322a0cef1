/* net/xml.h - what AWS answers in XML, read within bounds.
 *
 * Parsed by expat, loaded when the first answer in XML arrives: it is small, has no network and
 * no document types of its own to fetch, and a copy that the distribution keeps up to date is worth
 * more than one linked in (DECISIONS 32 for the cost of linking).
 */
#ifndef CAIRN_NET_XML_H
#define CAIRN_NET_XML_H

#include "util/err.h"
#include "util/strbuf.h"

#define XML_DEPTH_MAX 16u         /* elements inside each other */
#define XML_PATH_MAX  512u        /* bytes of their names */
#define XML_VALUE_MAX (64u << 10) /* bytes of one element's text */

/* Called at the end of each element.
 *
 * path  names from the root on, without namespaces: "ListBucketResult/Contents/Key"
 * text  of an element without children; of others, what follows the last child */
typedef int xml_fn(void *ctx, const char *path, str text, struct cairn_err *err);

/* Parse one document. Fails with CAIRN_E_SYNTAX when it is not well-formed, beyond the bounds or
 * has a document type, with CAIRN_E_UNSUPPORTED when expat is missing (naming the package), and as
 * fn does. */
int xml_parse(str text, xml_fn *fn, void *ctx, struct cairn_err *err);

/* Does path end with these whole names ("Error/Code")? */
bool xml_path_ends(const char *path, const char *names);

#endif
