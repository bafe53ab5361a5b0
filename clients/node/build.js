'use strict';
/* build.js - compile rialto.c against librialto, with the system's C compiler: `npm install` calls it.
 *
 *   node build.js [OUTPUT]     needs cc, Node's headers (Debian: libnode-dev), and librialto, found by pkg-config or in
 *                              $RIALTO_INCLUDE and $RIALTO_LIB */
const { execFileSync } = require('node:child_process');
const fs = require('node:fs');
const path = require('node:path');

const output = path.resolve(process.argv[2] || path.join(__dirname, 'build', 'rialto.node'));
const prefix = path.dirname(path.dirname(process.execPath));
const folders = [process.env.NODE_INCLUDE, path.join(prefix, 'include', 'node'), '/usr/include/node', '/usr/include/nodejs/src'];
const headers = folders.find((folder) => folder && fs.existsSync(path.join(folder, 'node_api.h')));
if (!headers) {
    console.error('rialto-prices: node_api.h was not found in ' + folders.filter(Boolean).join(', ') + '; Debian has it in libnode-dev');
    process.exit(1);
}

function librialto() {
    if (process.env.RIALTO_LIB) {
        return ['-I' + (process.env.RIALTO_INCLUDE || '/usr/include'), '-L' + process.env.RIALTO_LIB, '-lrialto', '-Wl,-rpath,' + process.env.RIALTO_LIB];
    }
    try {
        return execFileSync('pkg-config', ['--cflags', '--libs', 'rialto'], { encoding: 'utf8' }).trim().split(/\s+/);
    } catch {
        return ['-lrialto'];
    }
}

fs.mkdirSync(path.dirname(output), { recursive: true });
execFileSync(process.env.CC || 'cc',
    ['-std=c17', '-O2', '-fPIC', '-shared', '-Wall', '-Wextra', '-Werror', '-DNODE_GYP_MODULE_NAME=rialto', '-I' + headers, '-o', output,
        path.join(__dirname, 'rialto.c'), ...librialto()],
    { stdio: 'inherit' });
