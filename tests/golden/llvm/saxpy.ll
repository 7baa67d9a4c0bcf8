; Function Attrs: nounwind
define void @kiln_map(ptr noalias %0) {
entry:
  %1 = getelementptr inbounds i8, ptr %0, i64 0
  %columns = load i64, ptr %1, align 8
  %2 = getelementptr inbounds i8, ptr %0, i64 8
  %rows = load i64, ptr %2, align 8
  %3 = getelementptr inbounds i8, ptr %0, i64 24
  %a = load ptr, ptr %3, align 8
  %4 = getelementptr inbounds i8, ptr %0, i64 40
  %a.outer = load i64, ptr %4, align 8
  %5 = getelementptr inbounds i8, ptr %0, i64 48
  %x = load ptr, ptr %5, align 8
  %6 = getelementptr inbounds i8, ptr %0, i64 64
  %x.outer = load i64, ptr %6, align 8
  %7 = getelementptr inbounds i8, ptr %0, i64 72
  %y = load ptr, ptr %7, align 8
  %8 = getelementptr inbounds i8, ptr %0, i64 88
  %y.outer = load i64, ptr %8, align 8
  %9 = getelementptr inbounds i8, ptr %0, i64 96
  %z = load ptr, ptr %9, align 8
  %10 = getelementptr inbounds i8, ptr %0, i64 112
  %z.outer = load i64, ptr %10, align 8
  br label %row

row:                                              ; preds = %row.end, %entry
  %r = phi i64 [ 0, %entry ], [ %44, %row.end ]
  %11 = icmp slt i64 %r, %rows
  br i1 %11, label %row.body, label %done

row.body:                                         ; preds = %row
  %12 = mul i64 %r, %a.outer
  %13 = getelementptr i8, ptr %a, i64 %12
  %14 = mul i64 %r, %x.outer
  %15 = getelementptr i8, ptr %x, i64 %14
  %16 = mul i64 %r, %y.outer
  %17 = getelementptr i8, ptr %y, i64 %16
  %18 = mul i64 %r, %z.outer
  %19 = getelementptr i8, ptr %z, i64 %18
  %20 = getelementptr i8, ptr %13, i64 0
  %a1 = load float, ptr %20, align 1
  br label %main

done:                                             ; preds = %row
  ret void

main:                                             ; preds = %main.body, %row.body
  %i = phi i64 [ 0, %row.body ], [ %i.next, %main.body ]
  %i.next = add nuw i64 %i, 32
  %21 = icmp sle i64 %i.next, %columns
  br i1 %21, label %main.body, label %tail

main.body:                                        ; preds = %main
  %22 = mul i64 %i, 4
  %23 = getelementptr i8, ptr %15, i64 %22
  %x2 = load <32 x float>, ptr %23, align 1
  %24 = mul i64 %i, 4
  %25 = getelementptr i8, ptr %17, i64 %24
  %y3 = load <32 x float>, ptr %25, align 1
  %.splatinsert = insertelement <32 x float> poison, float %a1, i64 0
  %.splat = shufflevector <32 x float> %.splatinsert, <32 x float> poison, <32 x i32> zeroinitializer
  %26 = fmul <32 x float> %.splat, %x2
  %27 = fadd <32 x float> %y3, %26
  %28 = mul i64 %i, 4
  %29 = getelementptr i8, ptr %19, i64 %28
  store <32 x float> %27, ptr %29, align 1
  br label %main

tail:                                             ; preds = %tail.body, %main
  %j = phi i64 [ %i, %main ], [ %43, %tail.body ]
  %limit = phi i64 [ %columns, %main ], [ %limit, %tail.body ]
  %30 = icmp slt i64 %j, %limit
  br i1 %30, label %tail.body, label %row.end

tail.body:                                        ; preds = %tail
  %31 = sub i64 %limit, %j
  %32 = call i64 @llvm.smin.i64(i64 %31, i64 8)
  %33 = trunc i64 %32 to i32
  %.splatinsert4 = insertelement <8 x i32> poison, i32 %33, i64 0
  %.splat5 = shufflevector <8 x i32> %.splatinsert4, <8 x i32> poison, <8 x i32> zeroinitializer
  %in_range = icmp ult <8 x i32> <i32 0, i32 1, i32 2, i32 3, i32 4, i32 5, i32 6, i32 7>, %.splat5
  %34 = mul i64 %j, 4
  %35 = getelementptr i8, ptr %15, i64 %34
  %x6 = call <8 x float> @llvm.masked.load.v8f32.p0(ptr %35, i32 1, <8 x i1> %in_range, <8 x float> zeroinitializer)
  %36 = mul i64 %j, 4
  %37 = getelementptr i8, ptr %17, i64 %36
  %y7 = call <8 x float> @llvm.masked.load.v8f32.p0(ptr %37, i32 1, <8 x i1> %in_range, <8 x float> zeroinitializer)
  %.splatinsert8 = insertelement <8 x float> poison, float %a1, i64 0
  %.splat9 = shufflevector <8 x float> %.splatinsert8, <8 x float> poison, <8 x i32> zeroinitializer
  %38 = fmul <8 x float> %.splat9, %x6
  %39 = fadd <8 x float> %y7, %38
  %40 = mul i64 %j, 4
  %41 = getelementptr i8, ptr %19, i64 %40
  call void @llvm.masked.store.v8f32.p0(<8 x float> %39, ptr %41, i32 1, <8 x i1> %in_range)
  %42 = add nuw i64 %j, 8
  %43 = call i64 @llvm.smin.i64(i64 %42, i64 %limit)
  br label %tail

row.end:                                          ; preds = %tail
  %44 = add nuw i64 %r, 1
  br label %row
}

; Function Attrs: nocallback nofree nosync nounwind speculatable willreturn memory(none)
declare i64 @llvm.smin.i64(i64, i64)

; Function Attrs: nocallback nofree nosync nounwind willreturn memory(argmem: read)
declare <8 x float> @llvm.masked.load.v8f32.p0(ptr nocapture, i32 immarg, <8 x i1>, <8 x float>)

; Function Attrs: nocallback nofree nosync nounwind willreturn memory(argmem: write)
declare void @llvm.masked.store.v8f32.p0(<8 x float>, ptr nocapture, i32 immarg, <8 x i1>)
