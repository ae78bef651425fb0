import { systemClock, type Clock } from '@holdfast/base';
import { bytesText, durationText } from './figures.ts';

/** Work under way: what is done and, where it is known, of how much. */
export type Progressing = {
  readonly doneBytes: number;
  readonly totalBytes?: number;
  /** In words: `1,204 files`. */
  readonly detail: string;
};

/** Shows how long work goes on. */
export type ProgressDisplay = { show(progress: Progressing): void; end(): void };

const barWidth = 24;
const lineEveryMs = 10_000;
const mostLeftSeconds = 99 * 3600;

/**
 * A bar with rate and time left on a terminal; elsewhere a plain line every ten seconds; nothing with `--json`.
 */
export function createProgress(
  label: string,
  options: { readonly json: boolean; readonly stream?: NodeJS.WriteStream; readonly clock?: Clock },
): ProgressDisplay {
  const { json, stream = process.stderr, clock = systemClock } = options;
  if (json) return { show: () => undefined, end: () => undefined };
  const startedAtMs = clock.monotonic();
  let shownAtMs = startedAtMs;
  let isShown = false;
  return {
    show(progress) {
      const elapsedSeconds = (clock.monotonic() - startedAtMs) / 1000;
      if (stream.isTTY) {
        stream.write(`\r\u001b[K${cut(progressText(label, progress, elapsedSeconds), stream.columns)}`);
        isShown = true;
      } else if (clock.monotonic() - shownAtMs >= lineEveryMs) {
        shownAtMs = clock.monotonic();
        stream.write(`${progressText(label, progress, elapsedSeconds)}\n`);
      }
    },
    end() {
      if (isShown) stream.write('\r\u001b[K');
    },
  };
}

/** One line: label, bar, share, amount, rate, time left. */
export function progressText(label: string, progress: Progressing, elapsedSeconds: number): string {
  const { doneBytes, totalBytes, detail } = progress;
  const rate = elapsedSeconds > 0 ? doneBytes / elapsedSeconds : 0;
  const speed = `${bytesText(Math.round(rate))}/s`;
  if (totalBytes === undefined || totalBytes <= 0) return `${label}  ${bytesText(doneBytes)}  ${speed}  ${detail}`;
  const share = Math.min(1, doneBytes / totalBytes);
  const filled = Math.round(share * barWidth);
  const bar = `[${'#'.repeat(filled)}${'-'.repeat(barWidth - filled)}]`;
  const leftSeconds = rate > 0 ? (totalBytes - doneBytes) / rate : Infinity;
  // Beyond that it is no forecast.
  const left = leftSeconds <= mostLeftSeconds ? `${durationText(leftSeconds)} left` : '';
  const amount = `${bytesText(doneBytes)} of ${bytesText(totalBytes)}`;
  return [label, bar, `${Math.floor(share * 100)} %`, amount, speed, left, detail]
    .filter((part) => part !== '')
    .join('  ');
}

function cut(text: string, width: number | undefined): string {
  return width === undefined ? text : text.slice(0, Math.max(1, width - 1));
}
