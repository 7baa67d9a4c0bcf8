// Arrays to and from other libraries, without copies: DLPack, version 1.
#pragma once
#include <kiln/array.h>

// As dlpack.h defines them, which programs include themselves where they look inside.
struct DLManagedTensor;
struct DLManagedTensorVersioned;

namespace kiln {

/// The elements of a tensor, without a copy. The tensor is taken over: its deleter is called once,
/// when the last array over it is gone, on that array's thread; where this throws, it has been
/// called already. Strides may be null (C order), negative and zero. Read-only tensors make
/// read-only arrays; those without a version (before DLPack 1.0) cannot say that they are.
/// Error kinds: device (not in the host's memory), type (a dtype that kiln has not, or vectors),
/// shape (more than 8 axes), usage (null, or another major version).
Array from_dlpack(DLManagedTensorVersioned* tensor,
                  Location where = std::source_location::current());
Array from_dlpack(DLManagedTensor* tensor, Location where = std::source_location::current());

/// A tensor over the elements of an array, with strides, on the host. It keeps them alive until its
/// deleter is called: exactly once, on any thread. Usage error if a stride is no multiple of the
/// element's size. Without a version, also if the array is read-only, since that cannot be said.
DLManagedTensorVersioned* to_dlpack(const Array& array,
                                    Location where = std::source_location::current());
DLManagedTensor* to_dlpack_unversioned(const Array& array,
                                       Location where = std::source_location::current());

}  // namespace kiln
