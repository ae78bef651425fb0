import { shownOf } from '@holdfast/sdk';
import { timeText } from '../figures.ts';

/** What is wrong with the key log, and what of it should have come, as the agent says it. */
export type KeyLogStanding = {
  readonly late: readonly { readonly message: string; readonly since: string; readonly remedy?: string }[];
  readonly faults: readonly {
    readonly message: string;
    readonly at: string;
    readonly lastAt: string;
    readonly count: number;
    readonly remedy?: string;
  }[];
  /** What nobody has said to have seen. */
  readonly notices?: readonly Notice[];
};

/** A leaf that says who could read this computer's backups, or could soon. */
export type Notice = {
  readonly logIndex: number;
  readonly at: string;
  readonly kind: string;
  readonly message: string;
  readonly details: Readonly<Record<string, unknown>>;
};

/** What people read of it, each with what to do; `strong` marks the first word. */
export function keyLogLines(
  { late, faults, notices = [] }: KeyLogStanding,
  strong: (text: string) => string = (text) => text,
): readonly string[] {
  const said = [
    ...faults.map(({ at, lastAt, count, ...fault }) => {
      const often = count === 1 ? '' : `, ${count} times until ${timeText(lastAt)}`;
      return { ...fault, when: `${timeText(at)}${often}` };
    }),
    ...late.map(({ since, ...lateness }) => ({ ...lateness, when: `since ${timeText(since)}` })),
  ];
  return [
    ...noticeLines(notices, strong),
    ...said.flatMap(({ message, when, remedy }) => [
      `${strong('key log')}  ${message} (${when})`,
      ...(remedy === undefined ? [] : [`  What to do: ${remedy}`]),
    ]),
  ];
}

const shownNotices = 5;

/** What of the log concerns who uses this computer: said until it was seen. */
function noticeLines(notices: readonly Notice[], strong: (text: string) => string): readonly string[] {
  if (notices.length === 0) return [];
  const lines = notices.slice(-shownNotices).flatMap(({ at, kind, message, details, logIndex }) => {
    const { reason, caseId, code, userUid, publicKey, deviceUid, newDeviceUid } = details;
    const words = [reason, caseId, code, userUid, publicKey, deviceUid, newDeviceUid]
      .filter((one) => typeof one === 'string')
      .map((one) => String(shownOf(one)));
    return [
      `${strong(kind === 'archive_takeover' ? 'takeover' : 'key release')}  ${message} (${timeText(at)}, leaf ${logIndex})`,
      ...words.map((one) => `  ${one}`),
    ];
  });
  const more = notices.length - shownNotices;
  const rest = more > 0 ? [`  and ${more} before them`] : [];
  return [...lines, ...rest, '  What to do: ask who did it where you do not know; then: holdfast key log --seen'];
}

/** A leaf as the agent says it; `at` is missing, and the kind `unknown`, where it does not know it. */
export type Leaf = { readonly logIndex: number; readonly at?: string; readonly kind: string; readonly text: string };

/** What each kind of leaf says, for people. */
const kindTexts: Readonly<Record<string, string>> = {
  key_registered: 'a device enrolled with its key',
  key_ended: 'the key of a device was ended',
  person_key_registered: 'a person has a key, to ask for releases or to approve them',
  person_key_ended: 'the key of a person was ended',
  key_vouched: 'an older key vouched for a newer one',
  keyring_added: 'a keyring with these slots was added',
  daily_heads: 'the newest commits of all archives',
  archive_takeover: 'another computer takes this archive over',
  escrow_keys_set: 'the keys to which slots for escrow are sealed',
  release: 'keys of an archive were asked for and are released',
  release_refused: 'keys of an archive were asked for and refused',
  release_rules: 'the rules by which keys are released were changed',
  escrow_tried: 'slots for escrow were tried, to see that they open',
};

/** A leaf as people read it. Its text is the server's words: nothing in it may move the cursor or turn the direction. */
export function leafText({ logIndex, at, kind, text }: Leaf): string {
  const when = at === undefined ? '' : `  ${timeText(at)}`;
  const what = kindTexts[kind] ?? 'a leaf of a kind that this version does not know';
  return `${logIndex}${when}  ${what}\n  ${String(shownOf(text))}`;
}

/** What is said of a head that was written to a file, with the number of kinds of faults there were since. */
export function headText(written: {
  readonly file: string;
  readonly treeSize: number;
  readonly faults: number;
}): string {
  const { file, treeSize, faults } = written;
  const next = 'compare it with those of other computers: holdfast key log --check-heads FILE...';
  const said = `The head over ${treeSize} leaves is in ${file}; ${next}`;
  if (faults === 0) return said;
  return `${said}\nSomething was wrong with the log: this head is the last that was checked, and not one that was wrong. Those are printed by: holdfast key log --json`;
}
