import type { Command } from 'commander';
import { ask } from '../agent-socket.ts';
import { commandErrors } from '../errors.ts';
import { bytesText } from '../figures.ts';
import { createOutput } from '../output.ts';
import { createProgress } from '../progress.ts';
import { resealText, type ResealResult } from './reseal-text.ts';

type Options = { readonly olderThan?: string; readonly dryRun?: boolean; readonly json?: boolean };
type Progress = { readonly records: number; readonly bytes: number; readonly plannedBytes: number };

/** `holdfast key reseal`: closes the past to what was struck, by sealing again what it opens. */
export function registerKeyReseal(key: Command): void {
  key
    .command('reseal')
    .description(
      'seal again what was written before keys changed, so that old ways in open nothing once destinations have removed the older records; what is needed is read from a destination and uploaded again',
    )
    .option('--older-than <epoch>', 'only what is of an epoch before this one; before the newest where left out')
    .option('--dry-run', 'say how much would be uploaded again, and do nothing')
    .action(async (options: Options) => {
      const { dryRun = false, json = false } = options;
      const olderThan = epochOf(options);
      const output = createOutput(json);
      const progress = createProgress('key reseal', { json });
      const given = { ...(dryRun && { dryRun }), ...(olderThan !== undefined && { olderThan }) };
      let isSaid = false;
      const result = await ask<ResealResult>('key.reseal', given, {
        onProgress: (found) => {
          const { records, bytes, plannedBytes } = found as unknown as Progress;
          if (!isSaid) output.note(sizeText(plannedBytes));
          isSaid = true;
          const detail = `${records.toLocaleString('en')} records`;
          progress.show({ doneBytes: bytes, totalBytes: plannedBytes, detail });
        },
      }).finally(() => progress.end());
      output.result(result, resealText(result));
    });
}

/** What it uploads is said before it begins: it may be all there is. */
function sizeText(plannedBytes: number): string {
  return `At most ${bytesText(plannedBytes)} are read from a destination, sealed again and uploaded. It may be stopped, and goes on when it is run again.`;
}

function epochOf({ olderThan }: Options): number | undefined {
  if (olderThan === undefined) return undefined;
  if (/^\d{1,5}$/.test(olderThan)) return Number(olderThan);
  const remedy = 'give its number, as holdfast key list prints it';
  throw commandErrors.invalid({ reason: '--older-than is not the number of an epoch', remedy });
}
