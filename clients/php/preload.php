<?php
/* opcache.preload: loads the library once for all requests, and allows FFI to the classes. */
FFI::load(__DIR__ . '/rialto.ffi.h');
opcache_compile_file(__DIR__ . '/Rialto.php');
