import type { Command } from 'commander';
import { defineErrors } from '@holdfast/base';
import { ask } from '../agent-socket.ts';
import { type Damage, damagedText, type Loss, lossText } from '../damage-text.ts';
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
  readonly damagedCount: number;
  /** Records taken from other destinations, and records whose contents were stored again. */
  readonly copied: number;
  readonly storedAgain: number;
  /** What could not be mended. */
  readonly left: readonly Damage[];
  readonly leftCount: number;
  /** What it had acknowledged and no longer had when it was opened for this look. */
  readonly loss?: Loss;
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
  readonly mendingStopped?: { readonly message: string };
};

const verifyErrors = defineErrors('verify', {
  damaged: ['corrupt', 'Records of the archive are missing or damaged, and could not be mended'],
  rolled_back: ['corrupt', 'A destination no longer had what it had acknowledged: it was rolled back, or lost its end'],
  no_destination: ['unavailable', 'There is no destination'],
  incomplete: ['unavailable', 'Not every destination was checked and has the newest state'],
});

/** `holdfast verify`: reads back and checks. */
export function registerVerify(program: Command): void {
  program
    .command('verify')
    .description('read the archive back from every destination that is there, check it, and mend what can be mended')
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
  const damaged = destinations.filter(({ leftCount }) => leftCount > 0);
  if (damaged.length > 0) throw verifyErrors.damaged({ destinations: namesOf(damaged), remedy: remedyForDamage });
  const lost = destinations.filter(({ loss }) => loss);
  if (lost.length > 0) throw verifyErrors.rolled_back({ destinations: namesOf(lost), remedy: remedyForLoss });
  const behind = destinations.filter(({ isCurrent }) => !isCurrent);
  if (behind.length + notChecked.length > 0) {
    const details = { behind: namesOf(behind), notChecked: namesOf(notChecked) };
    throw verifyErrors.incomplete({ ...details, remedy: 'holdfast backup, then holdfast status says how they stand' });
  }
}

const remedyForDamage =
  'connect destinations that are away, then: holdfast verify --full; keep other copies of what no destination has whole. ' +
  'A destination that stays damaged where another is whole: remove it and add it again. ' +
  'holdfast status names it until it is found whole';
const remedyForLoss =
  'find out who put older files there, or what disk lost them; what is still on this computer is sent again: holdfast backup, then holdfast verify';

function verifiedText({ destinations, notChecked, head, mendingStopped }: Verified): string {
  return [
    ...destinations.map((found) => foundText(found, head)),
    ...notChecked.map(
      ({ destination, status, reason, remedy }) =>
        `${destination}: not checked, ${status.replace('_', ' ')}: ${reason}\n  What to do: ${remedy}`,
    ),
    ...(mendingStopped ? [`mending stopped: ${mendingStopped.message}`] : []),
  ].join('\n');
}

function foundText(found: Found, newest: number): string {
  const { destination, head, rows, pieces, checkedBytes, left, leftCount, isCurrent, piecesElsewhere, loss } = found;
  const size = checkedBytes > 0 ? `, ${bytesText(checkedBytes)} read and checked` : '';
  const states = [
    ...(found.damagedCount > 0 ? [damageText(found)] : []),
    ...(isCurrent ? [] : [`is behind: it has commit ${head} of ${newest}`]),
  ];
  const state = states.length > 0 ? states.join(', ') : loss ? 'whole now' : 'good';
  const more = leftCount - left.length;
  return [
    `${destination}: ${state}; ${rows.toLocaleString('en')} rows, ${pieces.toLocaleString('en')} pieces${size}`,
    ...(loss ? [lossText(loss)] : []),
    ...(piecesElsewhere === 0
      ? []
      : [`  ${piecesElsewhere.toLocaleString('en')} pieces are of backup sets that are kept at other destinations`]),
    ...left.map((each) => `  ${damagedText(each)}`),
    ...(more > 0 ? [`  and ${more} more`] : []),
  ].join('\n');
}

function damageText({ damagedCount, copied, storedAgain, leftCount }: Found): string {
  const mended = [
    ...(copied > 0 ? [`${copied} copied from another destination`] : []),
    ...(storedAgain > 0 ? [`${storedAgain} stored again`] : []),
  ];
  const records = damagedCount === 1 ? 'one record' : `${damagedCount} records`;
  const outcome = leftCount === 0 ? 'all mended' : `${leftCount} could not be mended`;
  return `${records} missing or damaged (${[...mended, outcome].join(', ')})`;
}
