/* The C interface of a compiled model: OUT/libmodel.so, which `compressc MODEL -o OUT --emit=so` writes.
 *
 * Ownership. compressc_open gives a model that the caller ends with compressc_close. Texts and errors that a function
 * returns belong to the caller, who frees them with compressc_free. Everything passed in stays the caller's and is not
 * kept. Errors: a function that fails says so by its result and, when `error` is not NULL, stores a text there, one
 * line that names what is wrong; on success *error is NULL.
 *
 * Threads. A model may be used by one thread at a time; several models are independent.
 */
#ifndef COMPRESSC_H
#define COMPRESSC_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct compressc_model compressc_model;

/* Opens the model whose model/ lies in `directory`; NULL: the folder of this library. `threads` 0: one for each
 * hardware thread. NULL on failure. */
compressc_model *compressc_open(const char *directory, int threads, char **error);
void compressc_close(compressc_model *model); /* NULL is allowed */

int64_t compressc_vocabulary_size(const compressc_model *model); /* logits of a token */
int64_t compressc_context_length(const compressc_model *model);  /* tokens of prompt and answer */

/* Token ids of a UTF-8 text, with the special tokens that the model's prompts begin with. Returns how many there are,
 * which may be more than `capacity`; the first `capacity` are stored. */
int64_t compressc_encode(const compressc_model *model, const char *text, size_t bytes, int32_t *tokens,
                         int64_t capacity);
/* The text of token ids, special ones left out. NULL on failure. */
char *compressc_decode(const compressc_model *model, const int32_t *tokens, int64_t count, char **error);

/* The logits [vocabulary_size] of the token that follows the last of `count` tokens. 0 on success, else -1. */
int compressc_logits(compressc_model *model, const int32_t *tokens, int64_t count, float *logits, char **error);

typedef struct {
  int64_t max_tokens;   /* to generate; 0: 128 */
  double temperature;   /* 0: the likeliest token each time */
  double top_p;         /* 0 or 1: all tokens */
  int64_t top_k;        /* 0: all tokens */
  uint64_t seed;
  const char *const *stops; /* the text ends before the first of these */
  size_t stop_count;
} compressc_generation;

/* Continues a prompt. `options` may be NULL. `on_text`, if not NULL, gets the text as it comes, whole characters; when
 * it returns 0 the generation ends there. Returns the text, or NULL on failure. */
char *compressc_generate(compressc_model *model, const char *prompt, const compressc_generation *options,
                         int (*on_text)(const char *text, size_t bytes, void *user), void *user, char **error);

void compressc_free(void *text); /* what the functions above returned; NULL is allowed */

#ifdef __cplusplus
}
#endif

#endif
