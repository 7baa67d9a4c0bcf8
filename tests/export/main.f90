! An exported kernel called from Fortran: what the JIT gave, by ISO_C_BINDING.
program main
   use, intrinsic :: iso_c_binding
   implicit none
   interface
      function black_scholes(n, spot, strike, years, rate, volatility, call_price, put_price) bind(C)
         import :: c_int, c_int64_t, c_double
         integer(c_int64_t), value :: n
         real(c_double), intent(in) :: spot(*), strike(*), years(*)
         real(c_double), value :: rate, volatility
         real(c_double), intent(out) :: call_price(*), put_price(*)
         integer(c_int) :: black_scholes
      end function
      function heat(now, now_shape, now_strides, next, next_shape, next_strides, c) bind(C)
         import :: c_int, c_int64_t, c_double, c_ptr
         real(c_double), intent(in) :: now(*)
         integer(c_int64_t), intent(in) :: now_shape(*), next_shape(*)
         type(c_ptr), value :: now_strides, next_strides
         real(c_double), intent(inout) :: next(*)
         real(c_double), value :: c
         integer(c_int) :: heat
      end function
   end interface
   integer(c_int64_t), parameter :: n = 100003, rows = 300, columns = 500
   real(c_double), dimension(n) :: spot, strike, years, calls, puts, expected
   ! The last index of C is the first one of Fortran.
   real(c_double), dimension(columns, rows) :: now, next, expected_next
   character(len=4096) :: folder
   integer(c_int64_t) :: i
   call get_command_argument(1, folder)
   do i = 1, n
      spot(i) = value_of(i - 1, 1_c_int64_t)
      strike(i) = value_of(i - 1, 2_c_int64_t)
      years(i) = value_of(i - 1, 3_c_int64_t)
   end do
   if (black_scholes(n, spot, strike, years, 0.02d0, 0.3d0, calls, puts) /= 0) stop 1
   open(10, file=trim(folder)//'/black_scholes.bin', access='stream', form='unformatted')
   read(10) expected
   if (any(transfer(calls, [i]) /= transfer(expected, [i]))) stop 2
   read(10) expected
   if (any(transfer(puts, [i]) /= transfer(expected, [i]))) stop 3
   close(10)
   do i = 0, rows * columns - 1
      now(mod(i, columns) + 1, i / columns + 1) = value_of(i, 7_c_int64_t)
   end do
   next = 0
   if (heat(now, [rows, columns], c_null_ptr, next, [rows, columns], c_null_ptr, 0.1d0) /= 0) stop 4
   open(10, file=trim(folder)//'/heat.bin', access='stream', form='unformatted')
   read(10) expected_next
   if (any(next /= expected_next)) stop 5
   print '(a)', 'Fortran: the bits that kiln gave'
contains
   real(c_double) function value_of(i, seed)
      integer(c_int64_t), intent(in) :: i, seed
      value_of = real(mod(i * 7919 + seed * 104729, 1009_c_int64_t) + 1, c_double) / 64
   end function
end program
