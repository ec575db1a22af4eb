/** Which network, and how its votes are counted. */
import type { Catalog } from "../catalog.ts";
import { DEFAULT_MODEL, MODELS, type ModelName } from "../models.ts";
import { segmentSeconds } from "../rules/card.ts";
import { NO_THRESHOLDS } from "../rules/label.ts";
import type { Judgement } from "../rules/song.ts";
import type { Rule } from "../rules/vote.ts";
import { texts } from "../texts.ts";
import { button, make, select } from "./dom.ts";

const STORED = "settings";
// Not "0": an object puts whole numbers before its other keys.
const CONFIDENCES = ["0.0", "0.4", "0.5", "0.6", "0.7", "0.8"] as const;
const MARGINS = ["-1.0", "0.0", "0.1", "0.2", "0.3"] as const;

export interface Settings {
  readonly model: ModelName;
  readonly rule: Rule;
  readonly confidence: number;
  readonly margin: number;
}

const DEFAULTS: Settings = { model: DEFAULT_MODEL, rule: "majority", ...NO_THRESHOLDS };

export async function loadSettings(catalog: Catalog): Promise<Settings> {
  const stored = (await catalog.setting(STORED)) as Partial<Settings> | undefined;
  const settings = { ...DEFAULTS, ...stored };
  return settings.model in MODELS ? settings : DEFAULTS;
}

export function judgement(settings: Settings): Judgement {
  const { card } = MODELS[settings.model];
  const { rule, confidence, margin } = settings;
  const thresholds = { confidence, margin };
  return { labels: card.labels, seconds: segmentSeconds(card), rule, thresholds };
}

/** The dialog; `changed` is called at once for each change. */
export function settingsDialog(
  catalog: Catalog, settings: Settings, changed: (settings: Settings) => void, forgetAll: () => void,
): HTMLDialogElement {
  let now = settings;
  const set = (part: Partial<Settings>) => {
    now = { ...now, ...part };
    void catalog.set(STORED, now);
    changed(now);
  };
  const t = texts.settings;
  const dialog = make("dialog", { "aria-labelledby": "settings-title" },
    make("h2", { id: "settings-title" }, t.title),
    make("label", {}, t.model, select(t.models, now.model, (model) => set({ model }))),
    make("p", { class: "soft small" }, t.modelNote),
    make("label", {}, t.vote, select(t.votes, now.rule, (rule) => set({ rule }))),
    make("label", {}, t.confidence,
      select(shares(CONFIDENCES, "0.0"), nearest(CONFIDENCES, now.confidence), (share) =>
        set({ confidence: Number(share) }))),
    make("label", {}, t.margin,
      select(shares(MARGINS, "-1.0"), nearest(MARGINS, now.margin), (share) =>
        set({ margin: Number(share) }))),
    make("div", { class: "actions" },
      button(t.close, () => dialog.close(), "main"),
      button(t.forgetAll, () => {
        if (!confirm(t.forgetSure)) return;
        dialog.close();
        forgetAll();
      }, "quiet")),
  );
  return dialog;
}

function shares<T extends string>(values: readonly T[], off: T): Record<T, string> {
  const text = (value: T) => (value === off ? texts.settings.off : texts.song.percent(Number(value)));
  return Object.fromEntries(values.map((value) => [value, text(value)])) as Record<T, string>;
}

function nearest<T extends string>(values: readonly T[], value: number): T {
  return values.find((one) => Number(one) === value) ?? values[0]!;
}
