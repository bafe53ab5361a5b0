<?php
/* opcache.preload: the classes, which may then use FFI. The library comes with ffi.preload. Both stand in php.ini:
 *
 *     ffi.preload = /path/to/rialto.ffi.h
 *     opcache.preload = /path/to/preload.php
 *     opcache.preload_user = www-data */
opcache_compile_file(__DIR__ . '/Rialto.php');
