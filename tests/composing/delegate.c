/* A delegate of TensorFlow Lite that does what its environment says: well, or some kind of harm.

   The plug-in interface is that of external_delegate_interface.h; the structures below are
   TensorFlow Lite's by their layout in tensorflow/lite/core/c/common.h (the same from 2.14 on),
   as far as they are used here.

   DELEGATE_DOES: "pass"     claims nothing, so the runtime's own kernels do it all
                  "claim"    claims everything and answers nothing but what is there
                  "refuse"   says why it cannot be created;  "refuse-silently" does not
                  "object"   cannot prepare;                 "fail" fails at a later token
                  "abort-create", "abort-prepare", "abort" (at a later token), "hang" (in create)
   DELEGATE_TOKENS: how many tokens go well before "fail" and "abort"
   DELEGATE_LOG: a file; each call appends a line. */

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

typedef enum { OK = 0, ERROR = 1 } Status;
typedef struct Context Context;
typedef struct Delegate Delegate;
typedef struct { int size; int data[]; } IntArray;

typedef struct {
    void *(*init)(Context *, const char *, size_t);
    void (*free)(Context *, void *);
    Status (*prepare)(Context *, void *);
    Status (*invoke)(Context *, void *);
    const char *(*profiling_string)(const Context *, const void *);
    int32_t builtin_code;
    const char *custom_name;
    int version;
    void *later[8]; /* Fields that later versions have appended; all may be empty. */
} Registration;

struct Context {
    size_t tensors_size;
    Status (*get_execution_plan)(Context *, IntArray **);
    void *tensors;
    void *impl;
    void *resize_tensor;
    void (*report_error)(Context *, const char *, ...);
    void *add_tensors;
    void *get_node_and_registration;
    Status (*replace_nodes)(Context *, Registration, const IntArray *, Delegate *);
};

struct Delegate {
    void *data;
    Status (*prepare)(Context *, Delegate *);
    void *copy_from_buffer_handle;
    void *copy_to_buffer_handle;
    void *free_buffer_handle;
    int64_t flags;
    void *opaque_delegate_builder;
};

static int tokens;

static int does(const char *what) {
    const char *asked = getenv("DELEGATE_DOES");
    return asked != NULL && strcmp(asked, what) == 0;
}

static void note(const char *what) {
    const char *path = getenv("DELEGATE_LOG");
    FILE *file = path ? fopen(path, "a") : NULL;
    if (file) {
        fprintf(file, "%s\n", what);
        fclose(file);
    }
}

static Status node_prepare(Context *context, void *node) { return OK; }

static Status node_invoke(Context *context, void *node) {
    const char *most = getenv("DELEGATE_TOKENS");
    if (!most || ++tokens <= atoi(most)) return OK;
    note("gone");
    if (does("abort")) abort();
    if (does("fail")) {
        context->report_error(context, "the stick is gone\n");
        return ERROR;
    }
    return OK;
}

static Status prepare(Context *context, Delegate *delegate) {
    note("prepare");
    if (does("abort-prepare")) abort();
    if (does("object")) {
        context->report_error(context, "these nodes are none of mine\n");
        return ERROR;
    }
    if (does("pass")) return OK;
    IntArray *plan;
    Registration registration = {0};
    registration.prepare = node_prepare;
    registration.invoke = node_invoke;
    registration.custom_name = "BachboxTestDelegate";
    registration.version = 1;
    if (context->get_execution_plan(context, &plan) != OK) return ERROR;
    return context->replace_nodes(context, registration, plan, delegate);
}

Delegate *tflite_plugin_create_delegate(char **keys, char **values, size_t count,
                                        void (*report_error)(const char *)) {
    note("create");
    tokens = 0;
    if (does("abort-create")) abort();
    if (does("hang")) pause();
    if (does("refuse")) report_error("no stick is plugged in");
    if (does("refuse") || does("refuse-silently")) return NULL;
    Delegate *delegate = calloc(1, sizeof *delegate);
    delegate->prepare = prepare;
    return delegate;
}

void tflite_plugin_destroy_delegate(Delegate *delegate) { free(delegate); }
