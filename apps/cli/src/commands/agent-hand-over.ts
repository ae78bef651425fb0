import { readFileSync } from 'node:fs';
import type { Command } from 'commander';
import { defineErrors } from '@holdfast/base';
import { absolutePath, ask } from '../agent-socket.ts';
import { confirm } from '../confirm.ts';
import { createOutput } from '../output.ts';
import { writeNewFile } from './new-file.ts';
import { askedText, handedText, type MadeHandOver } from './takeover-text.ts';

const handOverErrors = defineErrors('hand_over', {
  file_unreadable: ['not_found', 'The request of the new computer cannot be read'],
  not_confirmed: ['conflict', 'Nothing was handed over: it was not confirmed'],
  exists: ['conflict', 'There is a file of that name already'],
  not_written: ['unavailable', 'The hand-over could not be written'],
});

type Options = { readonly out: string; readonly yes?: boolean; readonly json?: boolean };

/** `holdfast agent hand-over`: lets a new computer go on with this one's archive. */
export function registerAgentHandOver(agent: Command): void {
  agent
    .command('hand-over <request>')
    .description(
      'let a new computer go on with the archive of this one: answers the request that it wrote; this one goes on until then',
    )
    .requiredOption('--out <file>', 'a new file for the new computer, which is of use to that one alone')
    .option('--yes', 'the fingerprint on the screen of the new computer is the one of this request')
    .action(async (request: string, options: Options) => {
      const output = createOutput(options.json ?? false);
      const made = await ask<MadeHandOver>('agent.hand-over', { document: readRequest(request) });
      const { document, fingerprint, expiresAt, newDevice } = made;
      output.note(askedText(made));
      if (!options.yes && !(await confirm(`Does its screen show ${fingerprint}?`)))
        throw handOverErrors.not_confirmed({ fingerprint });
      const file = absolutePath(options.out);
      writeNewFile(file, document, handOverErrors);
      output.result({ file, fingerprint, expiresAt, newDevice }, handedText(file, made));
    });
}

function readRequest(file: string): string {
  try {
    return readFileSync(absolutePath(file), 'utf8');
  } catch (error) {
    throw handOverErrors.file_unreadable({ file }, error);
  }
}
