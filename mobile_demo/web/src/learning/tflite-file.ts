/**
 * Read and replace the last layer of a TFLite file, and expose its inputs, as pocketgenre/models/flatbuffer.py.
 *
 * TFLite files are FlatBuffers: tables whose fields are offsets to data that follows. So a changed part is appended,
 * and the offset to it is replaced; nothing else moves. The field numbers are those of TFLite's schema.fbs.
 */
import { LearningError } from "../errors.ts";
import { texts } from "../texts.ts";

const IDENTIFIER = 0x334c4654; // "TFL3"
const [FLOAT32, INT8] = [0, 9];
const [DEQUANTIZE, FULLY_CONNECTED, SOFTMAX] = [6, 9, 25];
/** Vectors of weights begin at multiples of this number of bytes. */
const ALIGNMENT = 16;
/** Size in bytes from which a constant identifies a network; smaller ones depend on its input. */
const MIN_WEIGHTS_BYTES = 1024;
const ZIP_END = 0x06054b50;
/** Size of the end of a zip archive of one file, and positions of offsets: to the directory, from it to the file. */
export const ZIP_END_BYTES = 22, ZIP_DIRECTORY = 16, ZIP_FIRST_ENTRY = 42;

/** The last layer of a network and the quantization of its inputs, the features. */
export interface OutputLayer {
  /** Weights [features, labels]. */
  readonly kernel: Float32Array;
  /** [labels] */
  readonly bias: Float32Array;
  /** A feature is (int8 - zeroPoint) * scale. */
  readonly scale: number;
  readonly zeroPoint: number;
}

/**
 * Read the last layer of a network.
 *
 * @throws LearningError if the network does not end in a float32 layer on int8 features
 */
export function readOutputLayer(file: Uint8Array): OutputLayer {
  return checked(() => {
    const parts = findParts(file);
    const [labels, width] = parts.kernel.shape as [number, number];
    const rows = parts.kernel.floats();
    const kernel = new Float32Array(rows.length);
    for (let label = 0; label < labels; label++) {
      for (let i = 0; i < width; i++) kernel[i * labels + label] = rows[label * width + i]!;
    }
    return { kernel, bias: parts.bias.floats(), ...parts.features.quantization() };
  });
}

/**
 * Return the network with its features, converted to float32 [1, features], as a second output.
 *
 * @throws LearningError as readOutputLayer
 */
export function withFeatureOutput(file: Uint8Array): Uint8Array<ArrayBuffer> {
  return checked(() => {
    const parts = findParts(file);
    const patch = new Patch(file);
    patch.replaceVector(parts.graph.slot(2), Int32Array.of(parts.probabilities.index, parts.floats.index));
    // A signature lists the outputs as well; without one, those of the graph count.
    const signatures = parts.model.optionalSlot(7);
    if (signatures) patch.replaceVector(signatures, new Int32Array());
    return patch.finish();
  });
}

/**
 * Return the network with another last layer.
 *
 * @param layer weights on the same features, for any number of labels
 * @throws LearningError as readOutputLayer
 */
export function replaceOutputLayer(
  file: Uint8Array, { kernel, bias }: Pick<OutputLayer, "kernel" | "bias">,
): Uint8Array<ArrayBuffer> {
  return checked(() => {
    const content = withoutArchive(file);
    const parts = findParts(content);
    const labels = bias.length;
    const width = kernel.length / labels;
    const rows = new Float32Array(kernel.length);
    for (let i = 0; i < width; i++) for (let label = 0; label < labels; label++) rows[label * width + i] = kernel[i * labels + label]!;
    const patch = new Patch(content);
    patch.replaceVector(parts.kernel.dataSlot(), rows);
    patch.replaceVector(parts.bias.dataSlot(), bias);
    for (const [tensor, shape] of [
      [parts.kernel, [labels, width]], [parts.bias, [labels]],
      [parts.logits, [1, labels]], [parts.probabilities, [1, labels]],
    ] as const) {
      for (const field of [0, 7]) {
        const slot = tensor.table.optionalSlot(field);
        if (slot) patch.replaceVector(slot, Int32Array.from(shape));
      }
    }
    return patch.finish();
  });
}

/**
 * Return true if a network has all the weights of another one, except those of the last layers.
 *
 * @param part a network without the feature extraction of `whole`, or the same network
 * @throws LearningError as readOutputLayer
 */
export function hasSameWeights(part: Uint8Array, whole: Uint8Array): boolean {
  return checked(() => {
    const known = new Map<number, Uint8Array[]>();
    for (const data of weightsBelow(whole)) known.set(data.length, [...(known.get(data.length) ?? []), data]);
    const weights = weightsBelow(part);
    const isKnown = (data: Uint8Array) => (known.get(data.length) ?? []).some((other) => isEqual(data, other));
    return weights.length > 0 && weights.every(isKnown);
  });
}

/** Convert features that the network returns as float32 back to its int8, without loss. */
export function quantized(features: Float32Array, { scale, zeroPoint }: OutputLayer): Int8Array {
  return Int8Array.from(features, (value) => Math.round(value / scale) + zeroPoint);
}

/** Convert int8 features to float32. */
export function dequantized(features: Int8Array, { scale, zeroPoint }: Pick<OutputLayer, "scale" | "zeroPoint">): Float32Array {
  const result = new Float32Array(features.length); // Float32Array.from is slower by far
  for (let i = 0; i < features.length; i++) result[i] = (features[i]! - zeroPoint) * scale;
  return result;
}

/** Return a file without the zip archive of labels that may follow the network. */
export function withoutArchive(file: Uint8Array): Uint8Array {
  const view = viewOf(file);
  const end = file.length - ZIP_END_BYTES;
  if (end < 0 || view.getUint32(end, true) !== ZIP_END) return file;
  const directory = view.getUint32(end + ZIP_DIRECTORY, true);
  return file.subarray(0, view.getUint32(directory + ZIP_FIRST_ENTRY, true));
}

/** Run an action on a file that may be damaged on purpose, where every read outside it throws. */
function checked<T>(action: () => T): T {
  try {
    return action();
  } catch {
    throw new LearningError(texts.learn.notTeachable);
  }
}

/** The tensors around the last layer. */
interface Parts {
  readonly model: Table;
  readonly graph: Table;
  readonly features: Tensor;
  /** The features as float32. */
  readonly floats: Tensor;
  readonly kernel: Tensor;
  readonly bias: Tensor;
  readonly logits: Tensor;
  readonly probabilities: Tensor;
}

function findParts(file: Uint8Array): Parts {
  const view = viewOf(file);
  ensure(view.getUint32(4, true) === IDENTIFIER);
  const model = new Table(view, view.getUint32(0, true));
  const graphs = model.tables(2);
  ensure(graphs.length === 1);
  const graph = graphs[0]!;
  const codes = model.tables(1).map((code) => Math.max(code.int8(0), code.int32(3)));
  const operators = graph.tables(3).slice(-3);
  const kinds = operators.map((operator) => codes[operator.int32(0)]);
  ensure(kinds.join() === [DEQUANTIZE, FULLY_CONNECTED, SOFTMAX].join());
  const [dequantize, dense, softmax] = operators.map((one) => ({ inputs: one.ints(1), outputs: one.ints(2) }));
  const tensors = graph.tables(0);
  const buffers = model.tables(4);
  const tensor = (index: number | undefined) => new Tensor(index!, tensors[index!]!, buffers);
  const parts: Parts = {
    model,
    graph,
    features: tensor(dequantize!.inputs[0]),
    floats: tensor(dequantize!.outputs[0]),
    kernel: tensor(dense!.inputs[1]),
    bias: tensor(dense!.inputs[2]),
    logits: tensor(dense!.outputs[0]),
    probabilities: tensor(softmax!.outputs[0]),
  };
  const [labels, width] = parts.kernel.shape;
  ensure(dense!.inputs[0] === parts.floats.index && softmax!.inputs[0] === parts.logits.index);
  ensure(graph.ints(2).join() === String(parts.probabilities.index));
  ensure(parts.features.type === INT8 && parts.kernel.type === FLOAT32 && parts.bias.type === FLOAT32);
  ensure(parts.features.shape.join() === [1, width].join() && parts.bias.shape.join() === String(labels));
  ensure(parts.kernel.shape.length === 2 && parts.kernel.floats().length === labels! * width!);
  ensure(parts.bias.floats().length === labels);
  // Replacing a buffer would change every tensor that shares it.
  const sharing = (one: Tensor) => tensors.filter((other) => other.int32(2) === one.table.int32(2)).length;
  ensure(sharing(parts.kernel) === 1 && sharing(parts.bias) === 1);
  return parts;
}

/** Return the constants that identify a network, without its last layer. */
function weightsBelow(file: Uint8Array): Uint8Array[] {
  const { graph, model, kernel, bias } = findParts(file);
  const buffers = model.tables(4);
  const last = [kernel, bias].map((tensor) => tensor.table.int32(2));
  const used = new Set(graph.tables(0).map((tensor) => tensor.int32(2)));
  return [...used].filter((buffer) => !last.includes(buffer))
    .map((buffer) => buffers[buffer]!.bytes(0))
    .filter((data) => data.length >= MIN_WEIGHTS_BYTES);
}

/** A table of a FlatBuffer. A field that is missing has the value 0 or no elements. */
class Table {
  constructor(private readonly view: DataView<ArrayBuffer>, private readonly at: number) {}

  /** Return the position of a field; 0 if it is missing. */
  private field(number: number): number {
    const layout = this.at - this.view.getInt32(this.at, true);
    const entry = 4 + 2 * number;
    const offset = entry < this.view.getUint16(layout, true) ? this.view.getUint16(layout + entry, true) : 0;
    return offset && this.at + offset;
  }

  int8(number: number): number {
    const at = this.field(number);
    return at && this.view.getInt8(at);
  }

  int32(number: number): number {
    const at = this.field(number);
    return at && this.view.getInt32(at, true);
  }

  /** Return the position of the offset to a vector or table; null if the field is missing. */
  optionalSlot(number: number): number | null {
    return this.field(number) || null;
  }

  /** As optionalSlot, of a field that must be there. */
  slot(number: number): number {
    const at = this.field(number);
    ensure(at > 0);
    return at;
  }

  table(number: number): Table {
    const at = this.slot(number);
    return new Table(this.view, at + this.view.getUint32(at, true));
  }

  tables(number: number): Table[] {
    const { at, count } = this.vector(number, 4);
    return Array.from({ length: count }, (_, i) => {
      const entry = at + 4 * i;
      return new Table(this.view, entry + this.view.getUint32(entry, true));
    });
  }

  ints(number: number): number[] {
    const { at, count } = this.vector(number, 4);
    return Array.from({ length: count }, (_, i) => this.view.getInt32(at + 4 * i, true));
  }

  bytes(number: number): Uint8Array {
    const { at, count } = this.vector(number, 1);
    return new Uint8Array(this.view.buffer, this.view.byteOffset + at, count);
  }

  float32(number: number): number {
    const { at } = this.vector(number, 4);
    return this.view.getFloat32(at, true);
  }

  /** Return the start and the number of elements of a vector, which lies within the file. */
  private vector(number: number, size: number): { at: number; count: number } {
    const slot = this.field(number);
    if (!slot) return { at: 0, count: 0 };
    const at = slot + this.view.getUint32(slot, true);
    const count = this.view.getUint32(at, true);
    ensure(at + 4 + count * size <= this.view.byteLength);
    return { at: at + 4, count };
  }
}

class Tensor {
  readonly shape: readonly number[];
  readonly type: number;

  constructor(readonly index: number, readonly table: Table, private readonly buffers: readonly Table[]) {
    this.shape = table.ints(0);
    this.type = table.int8(1);
  }

  private get buffer(): Table {
    return this.buffers[this.table.int32(2)]!;
  }

  /** Return the position of the offset to the data of a constant. */
  dataSlot(): number {
    return this.buffer.slot(0);
  }

  /** Return a copy of a constant. */
  floats(): Float32Array {
    const bytes = this.buffer.bytes(0);
    ensure(bytes.length % 4 === 0);
    const values = new Float32Array(bytes.slice().buffer);
    ensure(values.every(Number.isFinite));
    return values;
  }

  quantization(): { scale: number; zeroPoint: number } {
    const table = this.table.table(4);
    const scale = table.float32(2);
    ensure(table.ints(2).length === 1 && scale > 0 && Number.isFinite(scale));
    return { scale, zeroPoint: table.ints(3)[0] ?? 0 }; // the lower half of an int64
  }
}

/** A copy of a file to which changed vectors are appended. */
class Patch {
  private readonly chunks: [at: number, bytes: Uint8Array][] = [];
  private readonly slots: [slot: number, target: number][] = [];
  private length: number;

  constructor(private readonly file: Uint8Array) {
    this.length = file.length;
  }

  /** @param slot position of the offset to the vector */
  replaceVector(slot: number, values: Float32Array | Int32Array): void {
    const target = Math.ceil((this.length + 4) / ALIGNMENT) * ALIGNMENT - 4; // the values are aligned, after their number
    const count = values instanceof Float32Array ? values.byteLength : values.length; // weights are a vector of bytes
    this.chunks.push([target, new Uint8Array(Uint32Array.of(count).buffer)]);
    this.chunks.push([target + 4, new Uint8Array(values.buffer, values.byteOffset, values.byteLength)]);
    this.slots.push([slot, target]);
    this.length = target + 4 + values.byteLength;
  }

  finish(): Uint8Array<ArrayBuffer> {
    const result = new Uint8Array(Math.ceil(this.length / ALIGNMENT) * ALIGNMENT);
    result.set(this.file);
    for (const [at, bytes] of this.chunks) result.set(bytes, at);
    const view = viewOf(result);
    for (const [slot, target] of this.slots) view.setUint32(slot, target - slot, true);
    return result;
  }
}

function viewOf(file: Uint8Array): DataView<ArrayBuffer> {
  return new DataView(file.buffer as ArrayBuffer, file.byteOffset, file.byteLength);
}

function isEqual(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((byte, i) => byte === b[i]);
}

function ensure(condition: boolean): void {
  if (!condition) throw new RangeError("not the expected structure");
}
