// All of kiln but the text front end.
#pragma once
#include <kiln/array.h>
#include <kiln/dsl.h>
#include <kiln/dtype.h>
#include <kiln/error.h>
#include <kiln/inspect.h>
#include <kiln/jit.h>
#include <kiln/memory.h>
#include <kiln/npy.h>
#include <kiln/parallel.h>
#include <kiln/random.h>
#include <kiln/reduce.h>
#include <kiln/scan.h>
#include <kiln/sort.h>
#include <kiln/statistics.h>
#include <kiln/stencil.h>
#include <kiln/vectorize.h>
