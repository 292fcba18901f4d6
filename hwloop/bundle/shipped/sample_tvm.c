/* Runs the model of this bundle on its TVM runtime, through the C interface of tvm-ffi.
 *
 * In the bundle's folder:
 *   cc -std=c11 -O2 sample.c -Iruntime/include -Lruntime -Wl,--no-as-needed -ltvm_runtime -ltvm_ffi \
 *      -Wl,-rpath,'$ORIGIN/runtime' -o sample
 *   ./sample [FOLDER]
 *
 * The inputs are the reference ones. The outputs are described, and with FOLDER written there, one file each. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <tvm/ffi/c_api.h>

#include "model.h"

#define ALIGNMENT 64
#define MOST_ARGUMENTS (INPUT_COUNT + 4)
#define POOLED_ALLOCATOR 2

static void fail(const char *what, const char *why)
{
    fprintf(stderr, "%s: %s\n", what, why);
    exit(1);
}

/* End with what tvm-ffi reports, if a call failed. */
static void check(const char *what, int status)
{
    if (status == 0)
        return;
    TVMFFIObjectHandle error = NULL;
    TVMFFIErrorMoveFromRaised(&error);
    if (error == NULL)
        fail(what, "failed without a message");
    const TVMFFIErrorCell *cell = (const TVMFFIErrorCell *)((const char *)error + sizeof(TVMFFIObject));
    fprintf(stderr, "%s: %.*s\n", what, (int)cell->message.size, cell->message.data);
    exit(1);
}

static TVMFFIAny text(const char *value)
{
    TVMFFIAny any = {.type_index = kTVMFFIRawStr};
    any.v_c_str = value;
    return any;
}

static TVMFFIAny whole(int64_t value)
{
    TVMFFIAny any = {.type_index = kTVMFFIInt};
    any.v_int64 = value;
    return any;
}

static TVMFFIAny view(DLTensor *tensor)
{
    TVMFFIAny any = {.type_index = kTVMFFIDLTensorPtr};
    any.v_ptr = tensor;
    return any;
}

static TVMFFIAny call(const char *what, TVMFFIObjectHandle function, TVMFFIAny *arguments, int count)
{
    TVMFFIAny result = {.type_index = kTVMFFINone};
    check(what, TVMFFIFunctionCall(function, arguments, count, &result));
    return result;
}

static TVMFFIObjectHandle global(const char *name)
{
    TVMFFIByteArray key = {name, strlen(name)};
    TVMFFIObjectHandle found = NULL;
    check(name, TVMFFIFunctionGetGlobal(&key, &found));
    return found;
}

/* Return a function of a module. */
static TVMFFIObjectHandle method(TVMFFIAny module, const char *name)
{
    TVMFFIAny arguments[] = {module, text(name), {.type_index = kTVMFFIBool}};
    TVMFFIAny found = call(name, global("ffi.ModuleGetFunction"), arguments, 3);
    if (found.type_index != kTVMFFIFunction)
        fail(name, "the compiled file has no such function");
    return found.v_obj;
}

static size_t size_of(const struct tensor *spec)
{
    size_t size = spec->type.bits / 8;
    for (int axis = 0; axis < spec->dimensions; axis++)
        size *= (size_t)spec->shape[axis];
    return size;
}

static void *read_file(const char *path, size_t size)
{
    size_t whole_lines = (size / ALIGNMENT + 1) * ALIGNMENT;
    void *data = aligned_alloc(ALIGNMENT, whole_lines);
    FILE *file = fopen(path, "rb");
    if (data == NULL || file == NULL || fread(data, 1, size, file) != size)
        fail(path, "cannot be read");
    fclose(file);
    return data;
}

static void write_file(const char *folder, int number, const void *data, size_t size)
{
    char path[4096];
    snprintf(path, sizeof path, "%s/output-%d.bin", folder, number);
    FILE *file = fopen(path, "wb");
    if (file == NULL || fwrite(data, 1, size, file) != size || fclose(file) != 0)
        fail(path, "cannot be written");
}

int main(int argc, char **argv)
{
    TVMFFIAny path = text(MODEL_FILE);
    TVMFFIAny library = call("load", global("ffi.ModuleLoadFromFile"), &path, 1);
    TVMFFIAny machine = call("load", method(library, "vm_load_executable"), NULL, 0);
    TVMFFIAny on_cpu[] = {whole(kDLCPU), whole(0), whole(POOLED_ALLOCATOR)};
    call("start", method(machine, "vm_initialization"), on_cpu, 3);

    DLTensor inputs[INPUT_COUNT + 1];
    TVMFFIAny arguments[MOST_ARGUMENTS] = {text("main")};
    for (int i = 0; i < INPUT_COUNT; i++) {
        const struct tensor *spec = &INPUTS[i];
        inputs[i] = (DLTensor){.data = read_file(spec->file, size_of(spec)),
                               .device = {kDLCPU, 0},
                               .ndim = spec->dimensions,
                               .dtype = spec->type,
                               .shape = (int64_t *)spec->shape};
        arguments[i + 1] = view(&inputs[i]);
    }
    call("set_input", method(machine, "set_input"), arguments, INPUT_COUNT + 1);

    TVMFFIAny name = text("main");
    call("run", method(machine, "invoke_stateful"), &name, 1); /* as often as you like */

    int64_t arity = call("get_output_arity", method(machine, "get_output_arity"), &name, 1).v_int64;
    for (int i = 0; i < OUTPUT_COUNT; i++) {
        TVMFFIAny which[] = {name, whole(i)};
        TVMFFIAny output = call("get_output", method(machine, "get_output"), which, arity < 0 ? 1 : 2);
        const DLTensor *tensor = (const DLTensor *)((const char *)output.v_obj + sizeof(TVMFFIObject));
        size_t size = (tensor->dtype.bits + 7) / 8;
        printf("%s:", OUTPUTS[i].name);
        for (int axis = 0; axis < tensor->ndim; axis++) {
            size *= (size_t)tensor->shape[axis];
            printf(" %" PRId64, tensor->shape[axis]);
        }
        printf(", %zu bytes\n", size);
        if (argc > 1)
            write_file(argv[1], i, (const char *)tensor->data + tensor->byte_offset, size);
        TVMFFIObjectDecRef(output.v_obj);
    }
    return 0;
}
