import { engineEnvironment, engineNodeFlags } from '@holdfast/agent/engine/process';
import { serviceSocket, serviceStateDir } from './agent-socket.ts';

/**
 * The unit of the agent as a service.
 *
 * It reads all files and writes restored ones for whoever asks, so it keeps root's rights over files and over users; all
 * that a backup never needs is taken away: other capabilities and system calls, kernel settings, namespaces, raw sockets.
 */
export function systemdUnit({ nodePath, program }: { readonly nodePath: string; readonly program: string }): string {
  const command = [
    nodePath,
    ...engineNodeFlags,
    program,
    'agent',
    'run',
    '--state',
    serviceStateDir,
    '--socket',
    serviceSocket,
  ];
  const environment = Object.entries(engineEnvironment(serviceStateDir)).map(([name, value]) => `${name}=${value}`);
  return `[Unit]
Description=Holdfast agent: protects the files of this computer
Documentation=file://${program.replace(/bin\/holdfast\.mjs$/, '').replaceAll(' ', '%%20')}
After=local-fs.target network-online.target
Wants=network-online.target

[Service]
Type=exec
ExecStart=${command.map(unitWord).join(' ')}
WorkingDirectory=/
Restart=on-failure
RestartSec=5
TimeoutStopSec=60
StateDirectory=holdfast
StateDirectoryMode=0700
RuntimeDirectory=holdfast
RuntimeDirectoryMode=0755
UMask=0077
Nice=10
IOSchedulingClass=best-effort
IOSchedulingPriority=7
LimitCORE=0
Environment=${environment.join(' ')}
LimitNOFILE=65536
CapabilityBoundingSet=CAP_DAC_READ_SEARCH CAP_DAC_OVERRIDE CAP_CHOWN CAP_FOWNER CAP_FSETID CAP_SETUID CAP_SETGID CAP_SETFCAP CAP_MKNOD CAP_KILL
NoNewPrivileges=yes
ProtectKernelModules=yes
ProtectKernelTunables=yes
ProtectKernelLogs=yes
ProtectControlGroups=yes
ProtectClock=yes
ProtectHostname=yes
RestrictNamespaces=yes
RestrictRealtime=yes
RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6 AF_NETLINK
LockPersonality=yes
SystemCallArchitectures=native
SystemCallFilter=@system-service
SystemCallErrorNumber=EPERM
KeyringMode=private

[Install]
WantedBy=multi-user.target
`;
}

/** A word of a command line as systemd reads it. */
function unitWord(word: string): string {
  const escaped = word.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('%', '%%').replaceAll('$', '$$$$');
  return /^[\w@+=:,./-]+$/.test(word) ? word : `"${escaped}"`;
}
