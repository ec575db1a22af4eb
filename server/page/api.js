// Send requests with the token, which is kept for as long as the tab is open, also after Back.

export const byId = (id) => document.getElementById(id);

const KEY = "token";
const input = byId("token");
input.value = sessionStorage.getItem(KEY) ?? "";

// Return the response. If the server does not respond, or the token is wrong, throw an error with a text for the user.
export async function request(path, options = {}) {
  const token = input.value.trim();
  const headers = { ...options.headers, ...(token ? { Authorization: `Bearer ${token}` } : {}) };
  const response = await fetch(path, { ...options, headers }).catch(() => {
    throw new Error("The server does not respond. Check that it is still running.");
  });
  if (response.status === 401) {
    sessionStorage.removeItem(KEY);
    byId("token-field").hidden = false;
    throw new Error(token ? "The token is wrong. Enter the token that the server was started with." : "This server needs a token. Enter the token that it was started with.");
  }
  if (!response.headers.get("X-Request-ID")) throw new Error(`The server refused the connection: ${await response.text()}`);
  if (token) sessionStorage.setItem(KEY, token);
  return response;
}
