/**
 * The service worker: keeps the page, the runtime and the models, so that all works offline.
 *
 * A version is kept as a whole, each file checked against its digest, or not at all. It takes over
 * when a person says so, or when no page of the old version is open any more; until then the old
 * pages get the old files.
 */
/// <reference lib="webworker" />
export {}; // a module, so that its self is not the page's
declare const self: ServiceWorkerGlobalScope;
declare const __FILES__: readonly (readonly [name: string, integrity: string])[];
declare const __VERSION__: string;

const PREFIX = "pocketgenre-";
const CACHE = PREFIX + __VERSION__;

/** A function of one relaxed SIMD instruction: where it is valid the runtime takes the faster wasm. */
const RELAXED_SIMD = new Uint8Array([
  0, 97, 115, 109, 1, 0, 0, 0, 1, 5, 1, 96, 0, 1, 123, 3, 2, 1, 0, 10, 15, 1, 13, 0, 65, 1, 253, 15,
  65, 2, 253, 15, 253, 128, 2, 11,
]);
const unused = WebAssembly.validate(RELAXED_SIMD) ? "litert_wasm_compat_" : "litert_wasm_internal";

self.addEventListener("install", (event) => event.waitUntil(keep()));
self.addEventListener("activate", (event) => event.waitUntil(takeOver()));
self.addEventListener("message", (event) => {
  if (event.data === "take over") void self.skipWaiting();
});
self.addEventListener("fetch", (event) => {
  const { method, url } = event.request;
  if (method !== "GET" || !url.startsWith(self.registration.scope)) return;
  event.respondWith(answer(event.request));
});

async function keep(): Promise<void> {
  const requests = __FILES__
    .filter(([name]) => !name.includes(unused))
    .map(([name, integrity]) => new Request(address(name), { integrity, cache: "no-cache" }));
  const cache = await caches.open(CACHE);
  try {
    await Promise.all(requests.map(async (request) => cache.put(request, await fetched(request))));
  } catch (error) {
    await caches.delete(CACHE);
    throw error;
  }
}

/** Whole and clean: a browser refuses to open an answer that a host came to by a redirect. */
async function fetched(request: Request): Promise<Response> {
  const response = await fetch(request);
  if (!response.ok) throw new Error(`${request.url} could not be fetched (${response.status})`);
  return response.redirected ? new Response(response.body, { headers: response.headers }) : response;
}

async function takeOver(): Promise<void> {
  const names = await caches.keys();
  const old = names.filter((name) => name.startsWith(PREFIX) && name !== CACHE);
  await Promise.all(old.map((name) => caches.delete(name)));
  await self.clients.claim();
}

async function answer(request: Request): Promise<Response> {
  const cache = await caches.open(CACHE);
  const url = request.mode === "navigate" ? address("index.html") : request.url;
  return (await cache.match(url, { ignoreSearch: true, ignoreVary: true })) ?? fetch(request);
}

function address(name: string): string {
  return new URL(name, self.registration.scope).href;
}
