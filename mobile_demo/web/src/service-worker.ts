/**
 * Service worker that caches the page, the runtime and the models for offline use.
 *
 * A version is cached completely, with the hash of each file checked, or not at all. It becomes
 * active when the user accepts it or when no page of the previous version is open; until then the
 * open pages use the previous files.
 */
/// <reference lib="webworker" />
export {}; // makes this file a module, so that its `self` is not the page's

declare const self: ServiceWorkerGlobalScope;
declare const __FILES__: readonly (readonly [name: string, integrity: string])[];
declare const __VERSION__: string;
/** The constant of share-target.ts: a worker of one file cannot import what the page imports too. */
declare const __SHARE__: typeof import("./share-target.ts").SHARE;

const PREFIX = "pocketgenre-";
const CACHE = PREFIX + __VERSION__;

/** A function with one relaxed SIMD instruction. Where it is valid, the runtime uses its SIMD build. */
const RELAXED_SIMD = new Uint8Array([
  0, 97, 115, 109, 1, 0, 0, 0, 1, 5, 1, 96, 0, 1, 123, 3, 2, 1, 0, 10, 15, 1, 13, 0, 65, 1, 253, 15,
  65, 2, 253, 15, 253, 128, 2, 11,
]);
/** Songs from the share sheet that the page has not taken yet. */
let shared: Promise<File[]> = Promise.resolve([]);
const unusedBuild = WebAssembly.validate(RELAXED_SIMD) ? "litert_wasm_compat_" : "litert_wasm_internal";

self.addEventListener("install", (event) => event.waitUntil(cacheFiles()));
self.addEventListener("activate", (event) => event.waitUntil(activate()));
self.addEventListener("message", (event) => {
  if (event.data === "take over") void self.skipWaiting();
  else if (event.data === __SHARE__.take) event.waitUntil(sendShared(event.ports[0]!));
});
self.addEventListener("fetch", (event) => {
  const { method, url } = event.request;
  if (method === "POST" && url === urlOf(__SHARE__.path)) return event.respondWith(receiveShared(event.request));
  if (method !== "GET" || !url.startsWith(self.registration.scope)) return;
  event.respondWith(respond(event.request));
});

async function cacheFiles(): Promise<void> {
  const requests = __FILES__
    .filter(([name]) => !name.includes(unusedBuild))
    .map(([name, integrity]) => new Request(urlOf(name), { integrity, cache: "no-cache" }));
  const cache = await caches.open(CACHE);
  try {
    await Promise.all(requests.map(async (request) => cache.put(request, await download(request))));
  } catch (error) {
    await caches.delete(CACHE);
    throw error;
  }
}

/** Download a file. Browsers refuse to open a cached redirect, so a redirected response is copied. */
async function download(request: Request): Promise<Response> {
  const response = await fetch(request);
  if (!response.ok) throw new Error(`${request.url} could not be downloaded (HTTP ${response.status})`);
  return response.redirected ? new Response(response.body, { headers: response.headers }) : response;
}

async function activate(): Promise<void> {
  const names = await caches.keys();
  const outdated = names.filter((name) => name.startsWith(PREFIX) && name !== CACHE);
  await Promise.all(outdated.map((name) => caches.delete(name)));
  await self.clients.claim();
}

async function respond(request: Request): Promise<Response> {
  const cache = await caches.open(CACHE);
  const url = request.mode === "navigate" ? urlOf("index.html") : request.url;
  return (await cache.match(url, { ignoreSearch: true, ignoreVary: true })) ?? fetch(request);
}

/** Keep shared songs until the page takes them, and open the page. */
async function receiveShared(request: Request): Promise<Response> {
  shared = request.formData().then(
    (form) => form.getAll(__SHARE__.field).filter((value) => value instanceof File),
    () => [],
  );
  await shared;
  return Response.redirect(urlOf(__SHARE__.hash), 303);
}

async function sendShared(port: MessagePort): Promise<void> {
  const files = await shared;
  shared = Promise.resolve([]);
  port.postMessage(files);
}

function urlOf(name: string): string {
  return new URL(name, self.registration.scope).href;
}
