import type { BackupReport } from '@holdfast/archive';
import type { CodedError } from '@holdfast/base';
import type { PassProgress, PassScope } from './run-pass.ts';

/** Somebody who waits for a pass that began after they asked. */
export type Asked = {
  /** The only set that is asked for. */
  readonly set: number | undefined;
  readonly resolve: (report: BackupReport) => void;
  readonly reject: (error: unknown) => void;
};

/** The passes that were asked for and are not done. */
export class AskedPasses {
  #waiting: Asked[] = [];
  readonly #done: (() => void)[] = [];
  readonly #listeners = new Set<(progress: PassProgress) => void>();

  get isAny(): boolean {
    return this.#waiting.length > 0;
  }

  /** Waits for the report of a pass over everything, or over one set. */
  ask(set: number | undefined, onProgress?: (progress: PassProgress) => void): Promise<BackupReport> {
    if (onProgress) this.#listeners.add(onProgress);
    const report = new Promise<BackupReport>((resolve, reject) => this.#waiting.push({ set, resolve, reject }));
    return report.finally(() => onProgress && this.#listeners.delete(onProgress));
  }

  /** Those who wait at this moment: a pass that begins now is theirs. */
  now(): readonly Asked[] {
    return [...this.#waiting];
  }

  hear(progress: PassProgress): void {
    for (const listener of this.#listeners) listener(progress);
  }

  /** Takes those who are answered off the list; they hear of it by `tell`. */
  answer(asked: readonly Asked[], report: BackupReport): void {
    this.#drop(asked);
    for (const { resolve } of asked) this.#done.push(() => resolve(report));
  }

  /** Resolves what was answered, once nothing of the pass is under way any more. */
  tell(): void {
    for (const tell of this.#done.splice(0)) tell();
  }

  refuse(asked: readonly Asked[], error: CodedError): void {
    this.#drop(asked);
    for (const { reject } of asked) reject(error);
  }

  refuseAll(error: CodedError): void {
    this.refuse(this.#waiting, error);
  }

  #drop(asked: readonly Asked[]): void {
    this.#waiting = this.#waiting.filter((each) => !asked.includes(each));
  }
}

/** Everything, or only the sets that are asked for where nobody asks for more. */
export function scopeOf(asked: readonly Asked[]): PassScope {
  const onlySets = asked.flatMap(({ set }) => (set === undefined ? [] : [set]));
  return onlySets.length > 0 && onlySets.length === asked.length ? { onlySets } : {};
}
