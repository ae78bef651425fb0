import type { Command } from 'commander';
import { defineErrors } from '@holdfast/base';
import { absolutePath, ask } from '../agent-socket.ts';
import { createOutput } from '../output.ts';
import { writeNewFile } from './new-file.ts';

const exportErrors = defineErrors('key_export', {
  exists: ['conflict', 'There is a file of that name already'],
  not_written: ['unavailable', 'The key file could not be written'],
});

/** `holdfast key export`: the key file that `recover` takes. */
export function registerKeyExport(key: Command): void {
  key
    .command('export')
    .description('write a key file that opens the archive; whoever has it reads the backups')
    .requiredOption('--out <file>', 'a new file, readable by its owner alone; - for standard output')
    .action(async (options: { readonly out: string; readonly json?: boolean }) => {
      const { keyFile } = await ask<{ keyFile: string }>('key.export');
      const output = createOutput(options.json ?? false);
      if (options.out === '-') return output.result({ keyFile }, keyFile.trimEnd());
      const file = absolutePath(options.out);
      writeNewFile(file, keyFile, exportErrors);
      const text = `The key file is ${file}. Keep it apart from this computer: whoever has it reads the backups.`;
      return output.result({ file }, text);
    });
}
