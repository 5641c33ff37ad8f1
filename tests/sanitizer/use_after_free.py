"""Reads memory that was freed: what AddressSanitizer must find, or else it watches nothing."""

import ctypes

import numpy as np

import steelyard as sy

N = 1000
libc = ctypes.CDLL(None)
libc.malloc.restype = ctypes.c_void_p
libc.free.argtypes = [ctypes.c_void_p]
address = libc.malloc(8 * N)
freed = np.ctypeslib.as_array((ctypes.c_double * N).from_address(address))
freed[:] = 0.0
libc.free(address)
print(sy.global_norm(freed))
