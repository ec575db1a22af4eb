/** Settings: the model, the vote rule and the thresholds. */
import type { Catalog } from "../catalog.ts";
import { DEFAULT_MODEL, MODELS, OWN_MODEL, type ModelName } from "../models.ts";
import { DEFAULT_LABEL_CONFIG, type LabelConfig, type VoteRule } from "../rules/prediction.ts";
import { texts } from "../texts.ts";
import { button, make, select } from "./dom.ts";

const STORED_NAME = "settings";
/** Option for the threshold of the model. */
const OF_MODEL = "model";
// Not "0": an object sorts keys that are integers before its other keys.
const CONFIDENCES = ["0.0", "0.4", "0.5", "0.6", "0.7", "0.8"] as const;
const MARGINS = ["-1.0", "0.0", "0.1", "0.2", "0.3"] as const;

/** The settings. Installed pages store them in their database, so the keys must not change. */
export interface Settings {
  readonly model: ModelName;
  readonly rule: VoteRule;
  /** Null for the threshold of the model. */
  readonly confidence: number | null;
  readonly margin: number;
}

export interface SettingsActions {
  readonly change: (settings: Settings) => void;
  readonly clear: () => void;
  readonly backup: () => void;
  readonly restore: (file: File) => void;
}

const DEFAULTS: Settings = {
  model: DEFAULT_MODEL,
  rule: DEFAULT_LABEL_CONFIG.vote,
  confidence: DEFAULT_LABEL_CONFIG.minConfidence,
  margin: DEFAULT_LABEL_CONFIG.minMargin,
};

export async function loadSettings(catalog: Catalog): Promise<Settings> {
  const stored = (await catalog.setting(STORED_NAME)) as Partial<Settings> | undefined;
  const settings = { ...DEFAULTS, ...stored };
  return settings.model in MODELS ? settings : DEFAULTS;
}

export function labelConfig({ rule, confidence, margin }: Settings): LabelConfig {
  return { vote: rule, minConfidence: confidence, minMargin: margin };
}

/** Create the dialog. Each change is saved at once. */
export function settingsDialog(catalog: Catalog, settings: Settings, actions: SettingsActions): HTMLDialogElement {
  let current = settings;
  const set = (change: Partial<Settings>) => {
    current = { ...current, ...change };
    void catalog.saveSetting(STORED_NAME, current);
    actions.change(current);
  };
  const t = texts.settings;
  const confidence = select(confidenceOptions(), confidenceOption(current), (value) =>
    set({ confidence: value === OF_MODEL ? null : Number(value) }));
  const nameThreshold = () => (confidence.options[0]!.text = modelThreshold(current.model));
  nameThreshold();
  const dialog = make("dialog", { "aria-labelledby": "settings-title" },
    make("h2", { id: "settings-title" }, t.title),
    make("label", {}, t.model, select(modelOptions(), current.model, (model) => {
      set({ model });
      nameThreshold();
    })),
    make("p", { class: "soft small" }, t.modelNote),
    make("label", {}, t.vote, select(t.votes, current.rule, (rule) => set({ rule }))),
    make("label", {}, t.confidence, confidence),
    make("p", { class: "soft small" }, t.confidenceNote),
    make("label", {}, t.margin,
      select(percentages(MARGINS, "-1.0"), optionFor(MARGINS, current.margin), (value) =>
        set({ margin: Number(value) }))),
    ...backupTools(actions, () => dialog.close()),
    make("div", { class: "actions" },
      button(t.close, () => dialog.close(), "main"),
      button(t.clear, () => {
        if (!confirm(t.clearConfirm)) return;
        dialog.close();
        actions.clear();
      }, "quiet")),
  );
  return dialog;
}

/** Create the buttons of the backup, and say whether the browser may delete the results. */
function backupTools(actions: SettingsActions, close: () => void): HTMLElement[] {
  const input = make("input", {
    type: "file", accept: ".json,application/json", class: "hidden", tabindex: "-1", "aria-hidden": "true",
    change: () => {
      const [file] = input.files ?? [];
      input.value = ""; // without this, the same file triggers no second event
      close();
      if (file) actions.restore(file);
    },
  });
  const storage = make("p", { class: "soft small" });
  void navigator.storage?.persisted?.().then((kept) => {
    storage.textContent = kept ? texts.backup.kept : texts.backup.notKept;
  });
  return [
    make("div", { class: "actions" },
      button(texts.backup.save, actions.backup), button(texts.backup.restore, () => input.click()), input),
    storage,
  ];
}

function modelOptions(): Record<ModelName, string> {
  const { models, ownModel } = texts.settings;
  return { ...(OWN_MODEL !== null && { own: ownModel(OWN_MODEL) }), ...models } as Record<ModelName, string>;
}

function confidenceOptions(): Record<string, string> {
  return { [OF_MODEL]: "", ...percentages(CONFIDENCES, "0.0") };
}

function confidenceOption({ confidence }: Settings): string {
  return confidence === null ? OF_MODEL : optionFor(CONFIDENCES, confidence);
}

/** Return the text of the option for the threshold of a model. */
function modelThreshold(model: ModelName): string {
  const threshold = MODELS[model].card.confidence?.min_confidence ?? 0;
  return texts.settings.ofModel(threshold ? texts.song.percent(threshold) : texts.settings.off);
}

/** Return the text of each value; `off` is the one that disables the threshold. */
function percentages<T extends string>(values: readonly T[], off: T): Record<T, string> {
  const text = (value: T) => (value === off ? texts.settings.off : texts.song.percent(Number(value)));
  return Object.fromEntries(values.map((value) => [value, text(value)])) as Record<T, string>;
}

function optionFor<T extends string>(values: readonly T[], wanted: number): T {
  return values.find((value) => Number(value) === wanted) ?? values[0]!;
}
