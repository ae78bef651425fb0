/** A restore that is only thought of: what it would make, and what of that is there. */
import type { PlannedEntry, Presence, ShownPiece } from '@holdfast/agent';
import { ask } from './agent-socket.ts';
import { bytesText, timeText } from './figures.ts';

type Planned = PlannedEntry & {
  readonly problem?: { readonly code: string; readonly message: string };
};

/** What a dry run tells. */
export type Plan = {
  readonly at: string;
  readonly dryRun: true;
  readonly entries: number;
  readonly directories: number;
  readonly totalBytes: number;
  readonly damaged: number;
  readonly planned: readonly (Planned & { readonly isThere: boolean; readonly there: Presence })[];
};

const shownPlanned = 200;
const shownDiffering = 50;

/** Asks for what would be made, and looks, as whoever runs this, what has those names already and whether it is the same. */
export async function planRestore(given: Readonly<Record<string, unknown>>): Promise<Plan> {
  const { LookThere } = await import('@holdfast/agent');
  const look = new LookThere(typeof given['to'] === 'string' ? given['to'] : undefined);
  const planned: Plan['planned'][number][] = [];
  let open: Planned | undefined;
  const settle = () => {
    if (!open) return;
    const there = look.end();
    const isThere = there !== 'absent';
    planned.push({ ...open, isThere, there: isThere && open.problem ? 'unknown' : there });
    open = undefined;
  };
  const onItem = (item: unknown) => {
    const { pieces = [], ...entry } = item as Partial<Planned> & { readonly pieces?: readonly ShownPiece[] };
    if (entry.path !== undefined) {
      settle();
      open = entry as Planned;
      look.begin(open);
    }
    look.pieces(pieces);
  };
  try {
    const counts = await ask<Omit<Plan, 'planned'>>('restore', { ...given, dryRun: true }, { onItem });
    settle();
    return { ...counts, planned };
  } finally {
    look.close();
  }
}

const afterConflict = {
  rename: 'restored beside it, under another name',
  overwrite: 'put in its place',
  skip: 'left out',
} as const;

const notes: Readonly<Record<Presence, string>> = {
  absent: '',
  same: '  (the same is there)',
  differs: '  (differs from what is there)',
  unknown: '  (something is there that you may not read)',
};

/** What a person is told of a plan. */
export function planText(plan: Plan, onConflict: keyof typeof afterConflict): string {
  const { at, entries, directories, totalBytes, planned } = plan;
  const more = planned.length - shownPlanned;
  return [
    ...planned.slice(0, shownPlanned).map(lineOf),
    ...(more > 0 ? [`and ${more.toLocaleString('en')} more; --json names all`] : []),
    ...differingText(planned.slice(shownPlanned)),
    `as of ${timeText(at)}: ${entries} files and ${directories} folders, ${bytesText(totalBytes)}; nothing was written`,
    ...takenText(planned, onConflict),
  ].join('\n');
}

function lineOf({ path, type, sizeBytes, there, problem }: Plan['planned'][number]): string {
  const size = sizeBytes === undefined ? '' : `  ${bytesText(sizeBytes)}`;
  const isFolder = type === 'directory';
  const note = problem ? `  cannot be restored: ${problem.message}` : isFolder && there === 'same' ? '' : notes[there];
  return `${path}${isFolder ? '/' : ''}${size}${note}`;
}

/** Of what is not shown, what a person has to know before they go on. */
function differingText(hidden: Plan['planned']): readonly string[] {
  const differing = hidden.filter(({ there }) => there === 'differs' || there === 'unknown');
  const more = differing.length - shownDiffering;
  return [
    ...differing.slice(0, shownDiffering).map(lineOf),
    ...(more > 0 ? [`and ${more.toLocaleString('en')} more that differ; --json names all`] : []),
  ];
}

function takenText(planned: Plan['planned'], onConflict: keyof typeof afterConflict): readonly string[] {
  const count = (presence: Presence) =>
    planned.filter(({ type, there }) => type !== 'directory' && there === presence).length;
  const [same, differing] = [count('same'), count('differs') + count('unknown')];
  return [
    ...(same > 0 ? [`${same.toLocaleString('en')} are there already and stay as they are`] : []),
    ...(differing > 0
      ? [`${differing.toLocaleString('en')} differ from what has their name: each is ${afterConflict[onConflict]}`]
      : []),
  ];
}
