import type { Command } from 'commander';
import { defineErrors } from '@holdfast/base';
import type { Finding } from '@holdfast/cloud';
import { environmentFor, findHome, homeToStart } from '../config.ts';
import { createOutput, type Output } from '../output.ts';

const doctorErrors = defineErrors('doctor', {
  failed: ['unavailable', 'The server does not do its work'],
});

const MARKS: Readonly<Record<Finding['state'], string>> = { ok: 'ok      ', warning: 'warning ', failed: 'FAILED  ' };

/** `holdfast cloud doctor`: looks a server over and says what to do. */
export function registerDoctor(cloud: Command): void {
  cloud
    .command('doctor')
    .description('look the server of this folder over: files, keys, certificate, disk, database')
    .action(async (options: { readonly json?: boolean }) => {
      const { examineCloud, readCloudConfig } = await import('@holdfast/cloud');
      const homeDir = findHome(process.cwd()) ?? homeToStart(process.cwd());
      const findings = await examineCloud(readCloudConfig(environmentFor(homeDir)));
      const output = createOutput(options.json ?? false);
      output.result({ findings }, findings.map((finding) => findingText(finding, output)).join('\n'));
      const failed = findings.filter(({ state }) => state === 'failed').map(({ subject }) => subject);
      if (failed.length > 0) throw doctorErrors.failed({ failed });
    });
}

function findingText({ subject, state, fact, remedy }: Finding, output: Output): string {
  const line = `${state === 'ok' ? MARKS.ok : output.strong(MARKS[state])} ${subject.padEnd(12)} ${fact}`;
  return remedy === undefined ? line : `${line}\n${' '.repeat(22)}What to do: ${remedy}`;
}
