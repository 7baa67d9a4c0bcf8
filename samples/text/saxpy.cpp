// a * x + y of any numbers: kiln run saxpy.cpp --kernel saxpy 2 @x.npy @y.npy =z.npy
auto saxpy(auto a, auto x, auto y) { return a * x + y; }
