#pragma once

/// Billions of floating-point operations per second that `threads` threads together reach with fused multiply-adds of
/// float32 that never leave the registers: what no kernel can exceed. Measured for some milliseconds.
double fma_peak(int threads);
