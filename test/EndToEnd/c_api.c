/* Uses every function of the C interface and compares with what it was told to expect.
 * usage: c_api PROMPT [DIRECTORY]    prints the greedy continuation of 12 tokens */
#include "compressc.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static size_t streamed;

static int count(const char *text, size_t bytes, void *user) {
  (void)text;
  (void)user;
  streamed += bytes;
  return 1;
}

static void die(const char *what, char *error) {
  fprintf(stderr, "c_api: error: %s: %s\n", what, error ? error : "(no message)");
  compressc_free(error);
  exit(1);
}

int main(int argc, char **argv) {
  char *error = NULL;
  compressc_model *model = compressc_open(argc > 2 ? argv[2] : NULL, 2, &error);
  if (!model)
    die("open", error);
  const char *prompt = argv[1];
  int32_t tokens[64];
  int64_t size = compressc_encode(model, prompt, strlen(prompt), tokens, 64);
  int64_t vocabulary = compressc_vocabulary_size(model);
  float *logits = malloc((size_t)vocabulary * sizeof(float));
  if (size < 1 || size > 64 || compressc_encode(model, prompt, strlen(prompt), NULL, 0) != size)
    die("encode", NULL);
  if (compressc_context_length(model) < size || compressc_logits(model, tokens, size, logits, &error))
    die("logits", error);
  int32_t best = 0;
  for (int32_t i = 1; i < vocabulary; ++i)
    best = logits[i] > logits[best] ? i : best;
  compressc_generation options = {.max_tokens = 12};
  char *text = compressc_generate(model, prompt, &options, count, NULL, &error);
  char *first = compressc_decode(model, &best, 1, &error);
  if (!text || !first)
    die("generate", error);
  /* The likeliest token is what greedy generation begins with. */
  if (strncmp(text, first, strlen(first)) || streamed != strlen(text))
    die("generate disagrees with logits", NULL);
  puts(text);
  int32_t bad = -1;
  if (compressc_logits(model, &bad, 1, logits, &error) != -1 || !error)
    die("a bad token was taken", NULL);
  compressc_free(error);
  if (argc > 2) { /* a library that holds no model itself */
    if (compressc_open("/nowhere", 1, &error) || !error)
      die("a missing folder was opened", NULL);
    compressc_free(error);
  }
  compressc_free(text);
  compressc_free(first);
  free(logits);
  compressc_close(model);
  return 0;
}
