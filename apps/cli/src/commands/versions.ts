import type { Command } from 'commander';
import { absolutePath, ask } from '../agent-socket.ts';
import { bytesText, columns, timeText } from '../figures.ts';
import { createOutput } from '../output.ts';
import type { ShownEntry } from './shown-entry.ts';

type Version = ShownEntry & {
  readonly commit: number;
  readonly from?: string;
  readonly until?: string;
  readonly changed?: readonly string[];
};

const words: Readonly<Record<string, string>> = {
  modified: 'its time',
  mode: 'permissions',
  owner: 'owner',
  attributes: 'attributes',
  links: 'hard links',
  sets: 'backup sets',
  status: 'the time of its last change',
};

/** A version is whatever is recorded: where the content is that of the one before, what differs is said. */
function sameText({ changed = ['content'] }: Version): string {
  if (changed.includes('content') || changed.includes('type')) return '';
  const differing = changed.flatMap((field) => words[field] ?? []);
  return `  same content, new: ${differing.join(', ')}`;
}

/** `holdfast versions`: all that a path ever was. */
export function registerVersions(program: Command): void {
  program
    .command('versions')
    .description('list all versions of a file, oldest first')
    .argument('<file>', 'as it lies or lay on this computer')
    .action(async (file: string, options: { readonly json?: boolean }) => {
      const output = createOutput(options.json ?? false);
      const result = await ask<{ versions: readonly Version[] }>('versions', { path: absolutePath(file) });
      const momentText = momentsOf(result.versions);
      const rows = result.versions.map((version) => {
        const { from, until, type, sizeBytes, modifiedAt, isFuzzy } = version;
        return [
          momentText(from),
          until === undefined ? 'until now' : `until ${momentText(until)}`,
          sizeBytes === undefined ? '-' : bytesText(sizeBytes),
          `modified ${timeText(modifiedAt)}`,
          `${type}${isFuzzy ? ' (changed while it was read)' : ''}${sameText(version)}`,
        ];
      });
      output.result(result, columns([['backed up', '', 'size', '', 'type'], ...rows]));
    });
}

/** Times to the second; where that names several versions, as in what was taken in from a branch, as `--at` tells them apart. */
function momentsOf(versions: readonly Version[]): (instant: string | undefined) => string {
  const counts = new Map<string, number>();
  for (const { from } of versions) counts.set(timeText(from), (counts.get(timeText(from)) ?? 0) + 1);
  return (instant) => ((counts.get(timeText(instant)) ?? 0) > 1 && instant) || timeText(instant);
}
