import type { Command } from 'commander';
import { defineErrors } from '@holdfast/base';
import { ask } from '../agent-socket.ts';
import { bytesText } from '../figures.ts';
import { createOutput } from '../output.ts';
import { createProgress } from '../progress.ts';

type Found = {
  readonly destination: string;
  readonly head: number;
  readonly isCurrent: boolean;
  readonly rows: number;
  readonly pieces: number;
  readonly checkedBytes: number;
  readonly damaged: readonly { readonly ordinal: number; readonly problem: string }[];
  readonly damagedCount: number;
  readonly piecesElsewhere: number;
};

const verifyErrors = defineErrors('verify', {
  damaged: ['corrupt', 'Records of the archive are missing or damaged'],
  no_destination: ['unavailable', 'No destination could be read'],
});

/** `holdfast verify`: reads back and checks. */
export function registerVerify(program: Command): void {
  program
    .command('verify')
    .description('read the archive back from every destination that is there, and check it')
    .option('--full', 'open every record and check every piece, not only that it is there')
    .action(async (options: { readonly full?: boolean; readonly json?: boolean }) => {
      const output = createOutput(options.json ?? false);
      const progress = createProgress('verify', { json: output.json });
      const given = options.full ? { full: true } : {};
      const result = await ask<{ destinations: readonly Found[] }>('verify', given, {
        onProgress: (found) => {
          const { checkedBytes, pieces } = found as unknown as Found;
          progress.show({ doneBytes: checkedBytes, detail: `${pieces.toLocaleString('en')} pieces` });
        },
      }).finally(() => progress.end());
      output.result(result, result.destinations.map(foundText).join('\n'));
      if (result.destinations.length === 0) throw verifyErrors.no_destination();
      const damaged = result.destinations.filter(({ damagedCount }) => damagedCount > 0);
      if (damaged.length > 0)
        throw verifyErrors.damaged({ destinations: damaged.map(({ destination }) => destination) });
    });
}

function foundText(found: Found): string {
  const { destination, rows, pieces, checkedBytes, damaged, damagedCount, isCurrent, piecesElsewhere } = found;
  const size = checkedBytes > 0 ? `, ${bytesText(checkedBytes)} read and checked` : '';
  const state = damagedCount === 0 ? 'good' : `${damagedCount} records missing or damaged`;
  return [
    `${destination}: ${state}; ${rows.toLocaleString('en')} rows, ${pieces.toLocaleString('en')} pieces${size}`,
    ...(piecesElsewhere === 0
      ? []
      : [`  ${piecesElsewhere.toLocaleString('en')} pieces are of backup sets that are kept at other destinations`]),
    ...(isCurrent ? [] : ['  it does not have the newest state yet']),
    ...damaged.map(({ ordinal, problem }) => `  record ${ordinal}: ${problem}`),
  ].join('\n');
}
