/** Functions of learning that tests compare with the Python package in a browser. */
export * from "./confidence-fit.ts";
export * from "./folds.ts";
export * from "./genre-text.ts";
export * from "./learned-model.ts";
export * from "./regression.ts";
export * from "./teaching.ts";
export * from "./tflite-file.ts";
