/* layout_describe.h - the published layout as Markdown: the generated part of docs/cache-layout.md. */
#ifndef CACHE_LAYOUT_DESCRIBE_H
#define CACHE_LAYOUT_DESCRIBE_H

/* layout_describe - files, numbers, every field of every struct, and a worked example, computed by the code that readers and
 * writers use. */
void layout_describe(void *out /* FILE* */);
#endif
