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
  readonly damaged: readonly { readonly ordinal?: number; readonly path?: string; readonly problem: string }[];
  readonly damagedCount: number;
  readonly piecesElsewhere: number;
};

type NotChecked = {
  readonly destination: string;
  readonly status: string;
  readonly reason: string;
  readonly remedy: string;
};
type Verified = {
  /** Number of the newest commit. */
  readonly head: number;
  readonly destinations: readonly Found[];
  readonly notChecked: readonly NotChecked[];
};

const verifyErrors = defineErrors('verify', {
  damaged: ['corrupt', 'Records of the archive are missing or damaged'],
  no_destination: ['unavailable', 'There is no destination'],
  incomplete: ['unavailable', 'Not every destination was checked and has the newest state'],
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
      const result = await ask<Verified>('verify', given, {
        onProgress: (found) => {
          const { checkedBytes, pieces } = found as unknown as Found;
          progress.show({ doneBytes: checkedBytes, detail: `${pieces.toLocaleString('en')} pieces` });
        },
      }).finally(() => progress.end());
      output.result(result, verifiedText(result));
      refuse(result);
    });
}

/** Damage comes before what was not seen: it is for certain. */
function refuse({ destinations, notChecked }: Verified): void {
  if (destinations.length + notChecked.length === 0) {
    throw verifyErrors.no_destination({ remedy: 'holdfast destination add FOLDER' });
  }
  const namesOf = (found: readonly { readonly destination: string }[]) => found.map(({ destination }) => destination);
  const damaged = destinations.filter(({ damagedCount }) => damagedCount > 0);
  if (damaged.length > 0) throw verifyErrors.damaged({ destinations: namesOf(damaged), remedy: remedyForDamage });
  const behind = destinations.filter(({ isCurrent }) => !isCurrent);
  if (behind.length + notChecked.length > 0) {
    const details = { behind: namesOf(behind), notChecked: namesOf(notChecked) };
    throw verifyErrors.incomplete({ ...details, remedy: 'holdfast backup, then holdfast status says how they stand' });
  }
}

const remedyForDamage =
  'a restore takes what is damaged here from another destination, where one has it; keep other copies of what none has whole. ' +
  'A folder is filled anew from the files that are there when its archive folder (holdfast destination list) is moved aside ' +
  'and an empty one of its name is made: then holdfast verify, which notices it, and holdfast backup';

function verifiedText({ destinations, notChecked, head }: Verified): string {
  return [
    ...destinations.map((found) => foundText(found, head)),
    ...notChecked.map(
      ({ destination, status, reason, remedy }) =>
        `${destination}: not checked, ${status.replace('_', ' ')}: ${reason}\n  What to do: ${remedy}`,
    ),
  ].join('\n');
}

function foundText(found: Found, newest: number): string {
  const { destination, head, rows, pieces, checkedBytes, damaged, damagedCount, isCurrent, piecesElsewhere } = found;
  const size = checkedBytes > 0 ? `, ${bytesText(checkedBytes)} read and checked` : '';
  const states = [
    ...(damagedCount > 0 ? [`${damagedCount} records missing or damaged`] : []),
    ...(isCurrent ? [] : [`is behind: it has commit ${head} of ${newest}`]),
  ];
  const state = states.length === 0 ? 'good' : states.join(', ');
  const more = damagedCount - damaged.length;
  return [
    `${destination}: ${state}; ${rows.toLocaleString('en')} rows, ${pieces.toLocaleString('en')} pieces${size}`,
    ...(piecesElsewhere === 0
      ? []
      : [`  ${piecesElsewhere.toLocaleString('en')} pieces are of backup sets that are kept at other destinations`]),
    ...damaged.map((each) => `  ${damageText(each)}`),
    ...(more > 0 ? [`  and ${more} more`] : []),
  ].join('\n');
}

function damageText({ ordinal, path, problem }: Found['damaged'][number]): string {
  const where = [...(path === undefined ? [] : [path]), ...(ordinal === undefined ? [] : [`record ${ordinal}`])];
  return where.length === 0 ? problem : `${where.join(', ')}: ${problem}`;
}
