import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { constants, gzipSync } from 'node:zlib';
import { svelte } from '@sveltejs/vite-plugin-svelte';
import { defineConfig } from 'vite';

const TARGET = '../src/khive_persist/server/web';

// The server sends these to whoever takes gzip, so that it need not pack anything itself.
const packed = {
  name: 'packed',
  closeBundle() {
    for (const file of readdirSync(TARGET, { recursive: true })) {
      if (!/\.(js|css|html|svg)$/.test(file)) continue;
      const path = join(TARGET, file);
      writeFileSync(`${path}.gz`, gzipSync(readFileSync(path), { level: constants.Z_BEST_COMPRESSION }));
    }
  },
};

export default defineConfig({
  plugins: [svelte(), packed],
  build: {
    outDir: TARGET,
    emptyOutDir: true,
    // A data: URL of a script or style is refused by the policy; and it would not be cached.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    chunkSizeWarningLimit: 700,
  },
});
