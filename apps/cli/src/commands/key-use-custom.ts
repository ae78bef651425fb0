import { readFileSync } from 'node:fs';
import type { Command } from 'commander';
import { defineErrors, systemRandom } from '@holdfast/base';
import { absolutePath, ask } from '../agent-socket.ts';
import { commandErrors } from '../errors.ts';
import { createOutput } from '../output.ts';
import { readAll } from '../read-secret.ts';
import { writeNewFile } from './new-file.ts';
import { useOwnKey } from './use-own-key.ts';

const fileErrors = defineErrors('custom_key_file', {
  exists: ['conflict', 'There is a file of that name already'],
  not_written: ['unavailable', 'The custom key could not be written'],
  not_read: ['not_found', 'The custom key cannot be read'],
});

type Options = {
  readonly generate?: string;
  readonly withEscrow?: boolean;
  readonly dryRun?: boolean;
  readonly json?: boolean;
};

/** `holdfast key use-custom`: a key that the archive's owner keeps; the agent gets a slot and not the key. */
export function registerKeyUseCustom(key: Command): void {
  key
    .command('use-custom')
    .description(
      'let a key of your own open the archive, in place of escrow and of an older own key: 32 random bytes as 64 hexadecimal digits, or as base64. Nobody can give it back',
    )
    .argument('[file]', 'file that holds the key; - for standard input')
    .option('--generate <file>', 'make a new key, and write it to a new file that only you can read')
    .option(
      '--with-escrow',
      'keep escrow beside it; where an own key has taken its place, this lets the organisation in again',
    )
    .option('--dry-run', 'say what would be done, and do nothing')
    .action(async (file: string | undefined, options: Options) => {
      if ((file === undefined) === (options.generate === undefined)) {
        const remedy = 'name the file that holds the key, or: holdfast key use-custom --generate FILE';
        throw commandErrors.invalid({ reason: 'one of FILE and --generate is needed', remedy });
      }
      const output = createOutput(options.json ?? false);
      // Asked first: where there is no agent, no key is made.
      const { archiveId } = await ask<{ archiveId: string }>('key.list');
      const { parseCustomKey, prepareCustomKeySlot } = await import('@holdfast/trust');
      const secret = parseCustomKey(file === undefined ? makeKey(options) : await readKey(file));
      const slot = prepareCustomKeySlot(Uint8Array.fromHex(archiveId), secret, systemRandom);
      secret.fill(0);
      const opened = `The custom key opens this archive.${keptIn(options)}`;
      const { withEscrow, dryRun } = options;
      const flags = { ...(withEscrow && { withEscrow }), ...(dryRun && { dryRun }) };
      output.result(...(await useOwnKey({ choice: 'custom', slot, opened, ...flags })));
    });
}

function keptIn({ generate, dryRun }: Options): string {
  if (generate === undefined || dryRun) return '';
  return ` It is in ${absolutePath(generate)}: keep a copy apart from this computer, and none on it.`;
}

/** A new key, in a file of its own before anything is changed; a dry run writes none. */
function makeKey({ generate = '', dryRun }: Options): string {
  const text = `${systemRandom(32).toHex()}\n`;
  if (!dryRun) writeNewFile(absolutePath(generate), text, fileErrors);
  return text;
}

async function readKey(file: string): Promise<string> {
  if (file === '-') return readAll();
  try {
    return readFileSync(absolutePath(file), 'utf8');
  } catch (error) {
    throw fileErrors.not_read({ file, problem: (error as Error).message }, error);
  }
}
