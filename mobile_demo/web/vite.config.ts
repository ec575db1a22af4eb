/** Build the page into dist/: hashed files, the service worker with their list, the manifest. */
import { createHash } from "node:crypto";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join, resolve, sep } from "node:path";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";
import { defineConfig, type Plugin, type Rollup } from "vite";
import { ownModel } from "./own-model.ts";
import { ACCEPT } from "./src/rules/discovery.ts";
import { SHARE } from "./src/share-target.ts";
import { app } from "./src/texts.ts";

const here = (path: string) => fileURLToPath(new URL(path, import.meta.url));

/** Content security policy. WebAssembly needs 'wasm-unsafe-eval'; a song's length is read from a blob. */
const POLICY = {
  "default-src": "'none'",
  "script-src": "'self' 'wasm-unsafe-eval'",
  "style-src": "'self'",
  "img-src": "'self' blob:",
  "media-src": "blob:",
  "connect-src": "'self'",
  "worker-src": "'self'",
  "manifest-src": "'self'",
  "base-uri": "'none'",
  "form-action": "'none'",
};
const policy = Object.entries(POLICY).map((rule) => rule.join(" ")).join("; ");

/** HTTP headers for the server of dist/; a <meta> element cannot set frame-ancestors. */
const HEADERS = {
  "Content-Security-Policy": `${policy}; frame-ancestors 'none'`,
  "Cross-Origin-Opener-Policy": "same-origin",
  "Referrer-Policy": "no-referrer",
  "X-Content-Type-Options": "nosniff",
};

const MANIFEST = {
  id: "./",
  name: app.name,
  short_name: app.name,
  description: app.description,
  lang: "en",
  start_url: "./",
  scope: "./",
  display: "standalone",
  background_color: "#fbfaf8",
  theme_color: "#fbfaf8",
  categories: ["music", "utilities"],
  share_target: {
    action: `./${SHARE.path}`,
    method: "POST",
    enctype: "multipart/form-data",
    params: { files: [{ name: SHARE.field, accept: ACCEPT.split(",") }] },
  },
  icons: [
    { src: "icon-192.png", sizes: "192x192", type: "image/png" },
    { src: "icon-512.png", sizes: "512x512", type: "image/png" },
    { src: "icon-maskable-512.png", sizes: "512x512", type: "image/png", purpose: "maskable" },
    { src: "icon.svg", sizes: "any", type: "image/svg+xml" },
  ],
};

/** Files that are served compressed if the browser accepts it; the models are hardly smaller compressed. */
const COMPRESSED = /\.(js|wasm)$/;
const MIN_COMPRESSED_BYTES = 20_000;
const TYPES: Readonly<Record<string, string>> = { js: "text/javascript", wasm: "application/wasm" };

/** Insert texts and policy into index.html, and write the manifest and the headers. */
function insertTexts(): Plugin {
  const values: Record<string, string> = { ...app, policy };
  return {
    name: "insert-texts",
    transformIndexHtml: (html) => html.replace(/\{\{(\w+)\}\}/g, (_, name: string) => values[name]!),
    generateBundle() {
      const asset = (fileName: string, content: object) =>
        this.emitFile({ type: "asset", fileName, source: JSON.stringify(content, null, 2) + "\n" });
      asset("manifest.webmanifest", MANIFEST);
      asset("headers.json", HEADERS);
    },
  };
}

/** Insert the list of files and their hashes into the service worker. */
function precache(): Plugin {
  return {
    name: "precache",
    enforce: "post",
    generateBundle: {
      order: "post",
      handler(_, bundle) {
        const files = new Map<string, string | Uint8Array>();
        for (const name of readdirSync(here("public"))) files.set(name, readFileSync(here(`public/${name}`)));
        for (const [name, part] of Object.entries(bundle)) files.set(name, contentOf(part));
        for (const name of ["sw.js", "headers.json"]) files.delete(name);
        const list = [...files].sort().map(([name, content]) => [name, integrity(content)]);
        const worker = bundle["sw.js"] as Rollup.OutputChunk;
        // The hash includes the worker's code, so that a new worker never shares its predecessor's cache.
        const hash = createHash("sha256").update(JSON.stringify(list)).update(worker.code);
        const version = hash.digest("hex").slice(0, 16);
        worker.code = worker.code
          .replace("__FILES__", JSON.stringify(list))
          .replace("__VERSION__", JSON.stringify(version));
      },
    },
  };
}

/**
 * Write each large file in compressed form as well, and serve that one in the preview.
 *
 * The service worker checks the hash of the content, which is the same.
 */
function compress(): Plugin {
  return {
    name: "compress",
    enforce: "post",
    generateBundle: {
      order: "post",
      handler(_, bundle) {
        for (const [name, part] of Object.entries(bundle)) {
          const content = contentOf(part);
          if (!COMPRESSED.test(name) || content.length < MIN_COMPRESSED_BYTES) continue;
          this.emitFile({ type: "asset", fileName: `${name}.gz`, source: gzipSync(content, { level: 9 }) });
        }
      },
    },
    configurePreviewServer(server) {
      const folder = resolve(server.config.root, server.config.build.outDir);
      server.middlewares.use((request, response, next) => {
        const path = (request.url ?? "").split("?")[0]!;
        const accepts = /\bgzip\b/.test(String(request.headers["accept-encoding"]));
        const type = TYPES[COMPRESSED.exec(path)?.[1] ?? ""];
        const file = join(folder, `${path}.gz`);
        if (!accepts || !type || !file.startsWith(folder + sep) || !existsSync(file)) return next();
        response.setHeader("Content-Encoding", "gzip");
        response.setHeader("Content-Type", type);
        for (const [name, value] of Object.entries(HEADERS)) response.setHeader(name, value);
        response.end(readFileSync(file));
      });
    },
  };
}

function contentOf(part: Rollup.OutputAsset | Rollup.OutputChunk): string | Uint8Array {
  return part.type === "chunk" ? part.code : part.source;
}

function integrity(content: string | Uint8Array): string {
  return `sha256-${createHash("sha256").update(content).digest("base64")}`;
}

export default defineConfig({
  base: "./",
  define: { __SHARE__: JSON.stringify(SHARE) },
  plugins: [ownModel(), insertTexts(), precache(), compress()],
  build: {
    target: "es2022",
    modulePreload: false,
    assetsInlineLimit: 0,
    reportCompressedSize: false,
    chunkSizeWarningLimit: 1000,
    rollupOptions: {
      input: { index: here("index.html"), sw: here("src/service-worker.ts") },
      output: {
        entryFileNames: ({ name }) => (name === "sw" ? "sw.js" : "assets/[name]-[hash].js"),
      },
    },
  },
  worker: { format: "iife", plugins: () => [ownModel()] }, // the runtime loads its script with importScripts
  preview: { strictPort: true, headers: HEADERS },
});
