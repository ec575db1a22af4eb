/** Learn genres from corrections, keep the learned head, and label songs by it. */
import type { Catalog } from "../catalog.ts";
import { errorText, LearningError } from "../errors.ts";
import { groupSongs } from "../learning/folds.ts";
import { letters } from "../learning/genre-text.ts";
import { cardOf, type LearnedHead, withSilentRows } from "../learning/head.ts";
import { type LearningRequest, type LearningResult, runLearning, type TaughtPath } from "../learning/learning-client.ts";
import { labelNames } from "../learning/teaching.ts";
import { MODELS, type ModelName } from "../models.ts";
import type { ModelCard } from "../rules/model-card.ts";
import type { LabelConfig } from "../rules/prediction.ts";
import { labelSong, type LibrarySong, type Song } from "../rules/song.ts";
import type { ScannedSong } from "../scan.ts";
import { labelName, texts } from "../texts.ts";
import { downloadFile } from "./export-panel.ts";
import { type Change, LearnPanel } from "./learn-panel.ts";

const FILE = { name: "my-genres.zip", type: "application/zip" };

export interface LearningHooks {
  readonly songs: () => ReadonlyMap<string, LibrarySong>;
  readonly model: () => ModelName;
  /** Run a task while no scan runs, or do nothing. */
  readonly runIfIdle: (task: () => Promise<void>) => boolean;
  /** Label and show all songs again. */
  readonly relabel: () => Promise<void>;
  /** Show the songs, and offer to scan those that are outdated. */
  readonly refresh: () => void;
}

export class LearningController {
  private readonly panel = new LearnPanel({
    learn: (onlyExamples) => this.run(() => this.learn(onlyExamples)),
    save: () => this.run(() => this.save()),
    open: (files) => this.run(() => this.change({ kind: "open", files })),
    reset: () => this.run(() => this.change({ kind: "use", head: null })),
  });
  private head: LearnedHead | null = null;
  private probabilities: Map<string, Float32Array> = new Map();
  private withFeatures = new Set<string>();
  /** True if the user wants to learn, so that examples without features are scanned again. */
  private wantsExamples = false;

  constructor(private readonly catalog: Catalog, private readonly hooks: LearningHooks) {}

  get element(): HTMLElement {
    return this.panel.element;
  }

  /** Read what was learned, also in another tab. */
  async load(): Promise<void> {
    const { head, probabilities } = await this.catalog.learned();
    this.head = head;
    this.probabilities = probabilities;
    this.withFeatures = await this.catalog.pathsWithFeatures(MODELS[this.hooks.model()].card.sha256);
  }

  /** The card of the selected model, with what was learned on its features. */
  get card(): ModelCard {
    const { card } = MODELS[this.hooks.model()];
    return this.activeHead ? cardOf(this.activeHead, card) : card;
  }

  private get activeHead(): LearnedHead | null {
    return this.head?.base === MODELS[this.hooks.model()].card.sha256 ? this.head : null;
  }

  /** Take a song that was scanned. */
  add({ song: { path }, hasFeatures, learned }: ScannedSong): void {
    if (hasFeatures) this.withFeatures.add(path);
    else this.withFeatures.delete(path);
    if (learned) this.probabilities.set(path, learned);
    else this.probabilities.delete(path);
  }

  /** Label a song by the learned genres, or by those of the page's model if its features are missing. */
  label(song: Song, config: LabelConfig, corrected: string | null): LibrarySong {
    const { card } = MODELS[this.hooks.model()];
    const { activeHead: head } = this;
    const audible = this.probabilities.get(song.path);
    const values = head && audible && song.probabilities
      && withSilentRows(audible, head.layer.labels.length, song.probabilities, card.labels.length);
    return values ? labelSong(song, this.card, config, corrected, values) : labelSong(song, card, config, corrected);
  }

  /** Return the genres to choose from: those of the card, and those that the user has named. */
  genres(corrections: Iterable<string>): readonly string[] {
    return labelNames(this.card.labels, corrections, false);
  }

  /** Return a genre in the spelling of a known one. */
  spelled(genre: string, known: readonly string[]): string {
    const isSame = (label: string) => [label, labelName(label)].some((name) => letters(name) === letters(genre));
    return known.find((label) => label === genre) ?? known.find(isSame) ?? genre;
  }

  /** Return true for a song that must be scanned again, because an earlier version of the page stored no features. */
  isOutdated(song: Song): boolean {
    if (!MODELS[this.hooks.model()].isTeachable || song.error !== null || this.withFeatures.has(song.path)) return false;
    return this.activeHead !== null || (this.wantsExamples && this.hooks.songs().get(song.path)?.corrected != null);
  }

  /** Show the examples of the library. */
  update(): void {
    const songs = [...this.hooks.songs().values()];
    this.element.hidden = songs.length === 0 || !MODELS[this.hooks.model()].isTeachable;
    if (songs.length === 0) this.panel.clear();
    const examples = new Map<string, number>();
    const missing = { examples: 0, others: 0 };
    for (const { song, corrected } of songs) {
      if (song.error !== null) continue;
      const hasFeatures = this.withFeatures.has(song.path);
      if (corrected !== null) examples.set(corrected, (examples.get(corrected) ?? 0) + 1);
      if (!hasFeatures) missing[corrected === null ? "others" : "examples"] += 1;
    }
    this.panel.show({ examples, missing, hasLearned: this.activeHead !== null });
  }

  private run(task: () => Promise<void>): void {
    const started = this.hooks.runIfIdle(async () => {
      try {
        // Another tab may be scanning, which would store labels of the previous genres.
        if (!navigator.locks) return await task();
        await navigator.locks.request("scan", { ifAvailable: true }, async (lock) => {
          if (lock) await task();
          else this.panel.showText(texts.scan.otherTab);
        });
      } catch (error) {
        this.panel.showText(error instanceof LearningError ? error.message : texts.errors.other(errorText(error)));
      }
    });
    if (!started) this.panel.showText(texts.learn.later);
  }

  private async learn(onlyTaught: boolean): Promise<void> {
    this.panel.showText(texts.learn.learning);
    this.wantsExamples = true;
    this.hooks.refresh();
    await this.change({ kind: "learn", taught: this.taught(), start: this.activeHead?.start ?? null, onlyTaught });
  }

  /** Return the songs whose genre the user has set. */
  private taught(): TaughtPath[] {
    const corrected = Array.from(this.hooks.songs().values()).filter((one) => one.corrected !== null);
    const credits = corrected.map(({ song: { path, tags } }) =>
      ({ path, artist: tags?.artist ?? null, album: tags?.album ?? null }));
    const groups = groupSongs(credits);
    return corrected.map(({ song, corrected: genre }, i) => ({ path: song.path, genre: genre!, group: groups[i]! }));
  }

  /** Replace the learned head, and show what changed. */
  private async change(request: LearningRequest): Promise<void> {
    const { head: previous } = this;
    const before = new Map(Array.from(this.hooks.songs(), ([path, { prediction }]) => [path, prediction?.genre]));
    const { tested } = await this.apply(request);
    const changes: Change[] = [];
    for (const [path, labelled] of this.hooks.songs()) {
      const [old, now] = [before.get(path), labelled.prediction?.genre];
      if (old !== undefined && now !== undefined && old !== now && labelled.corrected === null) {
        changes.push({ labelled, before: old, after: now });
      }
    }
    this.panel.showChanges(changes, request.kind === "learn" ? testLines(tested) : [], () => this.run(async () => {
      await this.apply({ kind: "use", head: previous });
      this.panel.showText(texts.learn.undone);
    }));
  }

  private async apply(request: LearningRequest): Promise<LearningResult> {
    const result = await runLearning(request);
    this.head = result.head;
    this.probabilities = new Map(result.probabilities);
    await this.hooks.relabel();
    return result;
  }

  private async save(): Promise<void> {
    const { file } = await runLearning({ kind: "save", head: this.activeHead! });
    downloadFile(new File([file!], FILE.name, { type: FILE.type }));
  }
}

function testLines(tested: LearningResult["tested"]): string[] {
  if (!tested) return [texts.learn.untested];
  const pairs = tested.confused.map(([a, b]) => texts.learn.confused(labelName(a), labelName(b)));
  return [texts.learn.tested(tested.correct, tested.songs), ...pairs];
}
