; Function Attrs: nounwind
define void @kiln_kernel(ptr noalias %0) align 64 {
entry:
  %1 = getelementptr inbounds i8, ptr %0, i64 0
  %columns = load i64, ptr %1, align 8
  %2 = getelementptr inbounds i8, ptr %0, i64 24
  %a = load ptr, ptr %2, align 8
  %3 = getelementptr inbounds i8, ptr %0, i64 48
  %x = load ptr, ptr %3, align 8
  %4 = getelementptr inbounds i8, ptr %0, i64 72
  %y = load ptr, ptr %4, align 8
  %5 = getelementptr inbounds i8, ptr %0, i64 96
  %z = load ptr, ptr %5, align 8
  %6 = getelementptr inbounds i8, ptr %0, i64 8
  %rows = load i64, ptr %6, align 8
  %7 = icmp sgt i64 %rows, 0
  br i1 %7, label %row, label %done

row:                                              ; preds = %row.next, %entry
  %r = phi i64 [ 0, %entry ], [ %54, %row.next ]
  %8 = phi ptr [ %a, %entry ], [ %16, %row.next ]
  %9 = phi ptr [ %x, %entry ], [ %18, %row.next ]
  %10 = phi ptr [ %y, %entry ], [ %20, %row.next ]
  %11 = phi ptr [ %z, %entry ], [ %22, %row.next ]
  %12 = getelementptr i8, ptr %8, i64 0
  %a1 = load float, ptr %12, align 1
  %13 = sub nsw i64 %columns, 32
  %14 = icmp sle i64 0, %13
  br i1 %14, label %main, label %main.end

row.next:                                         ; preds = %tail.end
  %15 = getelementptr inbounds i8, ptr %0, i64 40
  %outer = load i64, ptr %15, align 8
  %16 = getelementptr i8, ptr %8, i64 %outer
  %17 = getelementptr inbounds i8, ptr %0, i64 64
  %outer18 = load i64, ptr %17, align 8
  %18 = getelementptr i8, ptr %9, i64 %outer18
  %19 = getelementptr inbounds i8, ptr %0, i64 88
  %outer19 = load i64, ptr %19, align 8
  %20 = getelementptr i8, ptr %10, i64 %outer19
  %21 = getelementptr inbounds i8, ptr %0, i64 112
  %outer20 = load i64, ptr %21, align 8
  %22 = getelementptr i8, ptr %11, i64 %outer20
  br label %row

done:                                             ; preds = %tail.end, %entry
  ret void

main:                                             ; preds = %main, %row
  %i = phi i64 [ 0, %row ], [ %i.next, %main ]
  %23 = mul i64 %i, 4
  %24 = getelementptr i8, ptr %9, i64 %23
  %x2 = load <32 x float>, ptr %24, align 1
  %25 = mul i64 %i, 4
  %26 = getelementptr i8, ptr %10, i64 %25
  %y3 = load <32 x float>, ptr %26, align 1
  %.splatinsert = insertelement <32 x float> poison, float %a1, i64 0
  %.splat = shufflevector <32 x float> %.splatinsert, <32 x float> poison, <32 x i32> zeroinitializer
  %27 = fmul <32 x float> %.splat, %x2
  %28 = fadd <32 x float> %y3, %27
  %29 = mul i64 %i, 4
  %30 = getelementptr i8, ptr %11, i64 %29
  store <32 x float> %28, ptr %30, align 1
  %i.next = add nuw i64 %i, 32
  %31 = icmp sle i64 %i.next, %13
  br i1 %31, label %main, label %main.end

main.end:                                         ; preds = %main, %row
  %j = phi i64 [ 0, %row ], [ %i.next, %main ]
  %32 = sub nsw i64 %columns, 8
  %33 = icmp sle i64 %j, %32
  br i1 %33, label %single, label %single.end

single:                                           ; preds = %single, %main.end
  %i4 = phi i64 [ %j, %main.end ], [ %i.next9, %single ]
  %34 = mul i64 %i4, 4
  %35 = getelementptr i8, ptr %9, i64 %34
  %x5 = load <8 x float>, ptr %35, align 1
  %36 = mul i64 %i4, 4
  %37 = getelementptr i8, ptr %10, i64 %36
  %y6 = load <8 x float>, ptr %37, align 1
  %.splatinsert7 = insertelement <8 x float> poison, float %a1, i64 0
  %.splat8 = shufflevector <8 x float> %.splatinsert7, <8 x float> poison, <8 x i32> zeroinitializer
  %38 = fmul <8 x float> %.splat8, %x5
  %39 = fadd <8 x float> %y6, %38
  %40 = mul i64 %i4, 4
  %41 = getelementptr i8, ptr %11, i64 %40
  store <8 x float> %39, ptr %41, align 1
  %i.next9 = add nuw i64 %i4, 8
  %42 = icmp sle i64 %i.next9, %32
  br i1 %42, label %single, label %single.end

single.end:                                       ; preds = %single, %main.end
  %j10 = phi i64 [ %j, %main.end ], [ %i.next9, %single ]
  %43 = icmp slt i64 %j10, %columns
  br i1 %43, label %tail, label %tail.end

tail:                                             ; preds = %single.end
  %44 = sub i64 %columns, %j10
  %45 = trunc i64 %44 to i32
  %.splatinsert11 = insertelement <8 x i32> poison, i32 %45, i64 0
  %.splat12 = shufflevector <8 x i32> %.splatinsert11, <8 x i32> poison, <8 x i32> zeroinitializer
  %in_range = icmp ult <8 x i32> <i32 0, i32 1, i32 2, i32 3, i32 4, i32 5, i32 6, i32 7>, %.splat12
  %46 = mul i64 %j10, 4
  %47 = getelementptr i8, ptr %9, i64 %46
  %x13 = call <8 x float> @llvm.masked.load.v8f32.p0(ptr %47, i32 1, <8 x i1> %in_range, <8 x float> zeroinitializer)
  %48 = mul i64 %j10, 4
  %49 = getelementptr i8, ptr %10, i64 %48
  %y14 = call <8 x float> @llvm.masked.load.v8f32.p0(ptr %49, i32 1, <8 x i1> %in_range, <8 x float> zeroinitializer)
  %.splatinsert15 = insertelement <8 x float> poison, float %a1, i64 0
  %.splat16 = shufflevector <8 x float> %.splatinsert15, <8 x float> poison, <8 x i32> zeroinitializer
  %50 = fmul <8 x float> %.splat16, %x13
  %51 = fadd <8 x float> %y14, %50
  %52 = mul i64 %j10, 4
  %53 = getelementptr i8, ptr %11, i64 %52
  call void @llvm.masked.store.v8f32.p0(<8 x float> %51, ptr %53, i32 1, <8 x i1> %in_range)
  br label %tail.end

tail.end:                                         ; preds = %tail, %single.end
  %54 = add nuw i64 %r, 1
  %55 = getelementptr inbounds i8, ptr %0, i64 8
  %rows17 = load i64, ptr %55, align 8
  %56 = icmp ult i64 %54, %rows17
  br i1 %56, label %row.next, label %done
}

; Function Attrs: nocallback nofree nosync nounwind willreturn memory(argmem: read)
declare <8 x float> @llvm.masked.load.v8f32.p0(ptr nocapture, i32 immarg, <8 x i1>, <8 x float>)

; Function Attrs: nocallback nofree nosync nounwind willreturn memory(argmem: write)
declare void @llvm.masked.store.v8f32.p0(<8 x float>, ptr nocapture, i32 immarg, <8 x i1>)
