// Show the OpenAPI document, and send requests from it.

import { byId, request } from "./api.js";

const MAX_SHOWN = 20_000; // characters of a response

const element = (tag, text = "") => Object.assign(document.createElement(tag), { textContent: text });

async function showDocument() {
  byId("operations").replaceChildren();
  byId("status").textContent = "";
  try {
    const response = await request("/openapi.json");
    const { info, tags, paths } = await response.json();
    byId("description").textContent = info.description;
    for (const { name, description } of tags) {
      byId("operations").append(element("h2", description));
      for (const [path, operations] of Object.entries(paths)) {
        for (const [method, operation] of Object.entries(operations)) {
          if (operation.tags.includes(name)) byId("operations").append(newOperation(method.toUpperCase(), path, operation));
        }
      }
    }
  } catch (error) {
    byId("status").textContent = error.message;
  }
}

function newOperation(method, path, operation) {
  const entry = byId("operation").content.cloneNode(true).firstElementChild;
  const find = (selector) => entry.querySelector(selector);
  entry.id = operation.operationId;
  find("code").textContent = `${method} ${path}`;
  find("summary span").textContent = operation.description.split(/(?<=\.)\s/)[0];
  find(".description").textContent = operation.description;
  const fields = [...(operation.parameters ?? []).map(parameterField), ...bodyFields(operation)];
  find(".fields").replaceChildren(...fields);
  for (const [status, { description, content }] of Object.entries(operation.responses)) {
    const codes = Object.keys(content?.["application/problem+json"]?.examples ?? {});
    find(".statuses").append(element("dt", status), element("dd", codes.join(", ") || description));
  }
  find("form").addEventListener("submit", (event) => {
    event.preventDefault();
    send(method, path, event.target, find(".response"));
  });
  return entry;
}

function parameterField({ name, description, required, schema }) {
  const choices = schema.enum ?? (schema.type === "boolean" ? ["false", "true"] : null);
  const input = choices ? element("select") : element("input");
  if (choices) input.append(new Option(""), ...choices.map((choice) => new Option(choice)));
  return field(input, name, required, description, `query:${name}`);
}

// Return a field for each part of a multipart body, or one for a body that is a file.
function bodyFields({ requestBody }) {
  if (!requestBody) return [];
  const multipart = requestBody.content["multipart/form-data"]?.schema.properties;
  const parts = multipart ? Object.entries(multipart).map(([name, { type }]) => [`part:${name}`, type === "array"]) : [["body:", false]];
  return parts.map(([key, multiple]) => {
    const input = Object.assign(element("input"), { type: "file", multiple });
    return field(input, key.split(":")[1] || "body", true, "", key);
  });
}

function field(input, name, required, description, key) {
  const label = element("label", `${name} `);
  Object.assign(input, { name: key, required });
  label.append(input, element("small", ` ${description}`));
  return label;
}

async function send(method, path, form, output) {
  const query = new URLSearchParams();
  const parts = new FormData();
  let body = null;
  for (const [key, value] of new FormData(form)) {
    const [place, name] = key.split(":");
    if (place === "query" && value) query.append(name, value);
    if (place === "part") body = parts, parts.append(name, value);
    if (place === "body") body = value;
  }
  output.hidden = false;
  output.textContent = "…";
  try {
    const response = await request(query.size ? `${path}?${query}` : path, { method, body });
    output.textContent = `${response.status}\n${await describe(response)}`;
  } catch (error) {
    output.textContent = error.message;
  }
}

async function describe(response) {
  const type = response.headers.get("Content-Type") ?? "";
  if (type.startsWith("application/octet-stream")) return `${(await response.blob()).size} bytes`;
  const text = await response.text();
  const shown = type.includes("json") ? JSON.stringify(JSON.parse(text), null, 2) : text;
  return shown.length > MAX_SHOWN ? `${shown.slice(0, MAX_SHOWN)}\n… ${shown.length - MAX_SHOWN} more characters` : shown;
}

byId("token").addEventListener("change", showDocument);
byId("access").addEventListener("submit", (event) => event.preventDefault());
showDocument();
