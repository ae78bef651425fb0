import type { Command } from 'commander';
import { environmentFor, findHome, homeToStart } from '../config.ts';
import { createOutput } from '../output.ts';

type Options = { readonly name?: string; readonly admin: string; readonly json?: boolean };

/** `holdfast cloud tenant create`: a tenant with an administrator and an API client. */
export function registerTenantCreate(cloud: Command): void {
  const tenant = cloud.command('tenant').description('the organisations on this server').helpCommand(false);
  tenant
    .command('create <address>')
    .description('make a tenant; shows the credentials of its first administrator and API client, this once')
    .option('--name <text>', 'its name (its address)')
    .option('--admin <username>', 'user name of its first administrator', 'admin')
    .action(async (slug: string, options: Options) => {
      const { createTenant, operateCloud, readCloudConfig, silentLog } = await import('@holdfast/cloud');
      const config = readCloudConfig(environmentFor(findHome(process.cwd()) ?? homeToStart(process.cwd())));
      const made = await operateCloud(config, { log: silentLog }, async ({ bootstrap, server }) => {
        const wanted = { slug, name: options.name ?? slug, adminUsername: options.admin };
        return { ...(await createTenant(bootstrap, wanted)), url: server.publicUrl() };
      });
      const text = [
        `Tenant       ${made.slug} (${made.tenantUid})`,
        `Sign in at   ${made.url}/t/${made.slug}`,
        `             as ${made.adminUsername} with ${made.adminPassword}`,
        `API client   ${made.apiClientId}`,
        `             ${made.apiClientSecret}`,
        'None of these secrets can be shown again.',
      ].join('\n');
      createOutput(options.json ?? false).result(made, text);
    });
}
