"""Fixed upsampling as transposed convolution: nearest, bilinear and bicubic kernels as depthwise weights."""
