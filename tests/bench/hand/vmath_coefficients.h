// Coefficients of the minimax fits that vmath.h uses; lowest degree first.
#pragma once

// max weighted error 3.62e-18
inline constexpr double exp_f64[] = {
    5.00000000000001063e-1, 1.66666666666664125e-1, 4.1666666666530163e-2,  8.33333333349446435e-3,
    1.38888889436289447e-3, 1.98412695065657111e-4, 2.48014931000709814e-5, 2.7557586388432951e-6,
    2.76302479901550846e-7, 2.50000567081605215e-8};

// max weighted error 3.06e-9
inline constexpr float exp_f32[] = {4.99999934e-1f, 1.66665206e-1f, 4.1668388e-2f, 8.36871716e-3f,
                                    1.38146025e-3f};

// max weighted error 2.48e-18
inline constexpr double log_f64[] = {
    6.66666666666673489e-1, 3.99999999994111077e-1, 2.85714287432604218e-1, 2.22221984761320168e-1,
    1.81835697354423303e-1, 1.53139032978283691e-1, 1.47975076586056866e-1};

// max weighted error 3.32e-8
inline constexpr float log_f32[] = {3.3333858e-1f,   -2.50017471e-1f, 1.99653993e-1f,
                                    -1.65656282e-1f, 1.48769421e-1f,  -1.43502459e-1f,
                                    8.91798041e-2f};

// max weighted error 3.44e-18
inline constexpr double sin_f64[] = {-1.6666666666666632e-1,  8.33333333332241352e-3,
                                     -1.98412698298077383e-4, 2.75573136919001315e-6,
                                     -2.50507581131152361e-8, 1.58967955528108553e-10};

// max weighted error 3.59e-9
inline constexpr float sin_f32[] = {-1.66666549e-1f, 8.33217768e-3f, -1.95172344e-4f};

// max weighted error 4.67e-20
inline constexpr double cos_f64[] = {4.16666666666665995e-2, -1.3888888888874124e-3,
                                     2.48015872894822431e-5, -2.75573143523491583e-7,
                                     2.08757232753199146e-9, -1.13596479029612206e-11};

// max weighted error 9.55e-11
inline constexpr float cos_f32[] = {4.16666469e-2f, -1.38873669e-3f, 2.44383802e-5f};

// max weighted error 3.39e-8
inline constexpr float erf_f32[] = {
    3.53530984e-1f, -1.76576285e-1f, 1.31676675e-1f, -1.0770872e-1f,
    9.017464e-2f,   -7.47420453e-2f, 6.01725064e-2f, -4.57349046e-2f,
    3.19087052e-2f, -2.23913642e-2f, 1.68310233e-2f, -9.0752245e-3f,
    1.97482284e-3f, -1.78622865e-3f, 2.92018654e-3f, -1.17478345e-3f};
