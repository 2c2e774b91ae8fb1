import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { parseFlags } from '../../src/config/argv.js';
import { GO_FLAGS } from '../../src/config/go-flags.js';
import { flagNames, kebab, OPTION_NAMES, optionOf, snake } from '../../src/config/options.js';
import { refusal, resolve } from './resolve.js';

describe('a flag', () => {
  it('is taken under every name of the table, with one dash or two, with = or a space', () => {
    for (const option of OPTION_NAMES) {
      const text = optionOf(option).default ?? (optionOf(option).kind.isSwitch ? 'true' : 'x');
      for (const name of flagNames(option)) {
        for (const argv of [
          [`-${name}=${text}`],
          [`--${name}=${text}`],
          [`-${name}`, text],
          [`--${name}`, text],
        ]) {
          const { values } = parseFlags(argv);
          const where = argv[0]!.split('=')[0];
          assert.deepEqual(values, [{ name: option, text, where }], argv.join(' '));
        }
      }
    }
  });

  it('is taken in kebab-case and in snake_case', () => {
    for (const option of OPTION_NAMES) {
      assert.ok(flagNames(option).includes(kebab(option)));
      assert.ok(flagNames(option).includes(snake(option)));
    }
  });

  it('for a port may ask for any free one, or for none where there need be none', () => {
    assert.equal(resolve('--port 0').natsServer?.port, 0);
    assert.equal(resolve('-p -1').natsServer?.port, 0);
    assert.equal(resolve('-m 8222').httpPort, 8222);
    assert.equal(resolve('-m -1').httpPort, 0);
    for (const off of ['', '-m 0', '--http-port off']) assert.equal(resolve(off).httpPort, undefined);
  });

  it('counts as it was given last', () => {
    assert.equal(resolve('--max-msgs 1 -mm 2 --max_msgs=3').channelLimits.global.maxMessages, 3);
  });

  it('that is a switch needs no value, and takes the next word only if that is one', () => {
    assert.equal(resolve('--replace-durable').replaceDurable, true);
    assert.equal(resolve('--replace_durable false -mm 2').replaceDurable, false);
    assert.equal(resolve('--replace_durable=false').replaceDurable, false);
    assert.equal(resolve('--replace_durable -mm 2').channelLimits.global.maxMessages, 2);
    assert.deepEqual(resolve('-st file -dir d --no-file-sync').store, {
      kind: 'file',
      dir: 'd',
      sync: false,
    });
  });

  it('that is not known is refused, with the one it may have been', () => {
    assert.equal(refusal('--max-mgs 4'), 'unknown flag --max-mgs: did you mean --max-msgs?');
    assert.equal(refusal('-hb_intervall 4s'), 'unknown flag -hb_intervall: did you mean -hb_interval?');
    assert.equal(refusal('--frobnicate'), 'unknown flag --frobnicate');
  });

  it('without its value is refused', () => {
    assert.equal(refusal('--dir'), '--dir needs a value');
    assert.equal(refusal('--dir --port 4222'), '--dir needs a value');
  });

  it('is all that serve takes', () => {
    assert.match(refusal('file.yaml'), /unexpected argument "file.yaml"/);
    assert.match(refusal('-mm 5 -- x'), /unexpected argument "--"/);
  });

  it('with a value of the wrong kind is refused by the name it was given', () => {
    assert.equal(refusal('-mm many'), '-mm: "many" is not a whole number, 0 or more');
    assert.match(refusal('--max_bytes 10XB'), /^--max_bytes: "10XB" is not a size/);
    assert.match(refusal('--max-age 30'), /^--max-age: "30" is not a duration with its unit/);
    assert.match(refusal('--hb-interval 0s'), /^--hb-interval: "0s" is not a duration above zero/);
    assert.match(refusal('--port 70000'), /^--port: "70000" is not a port from 1 to 65535/);
    assert.match(refusal('--file-sync=maybe'), /^--file-sync: "maybe" is not true or false/);
    assert.match(refusal('-file_sync maybe -mm 5'), /^-file_sync: "maybe" is not true or false/);
    assert.match(refusal('--cluster-id a.*'), /^--cluster-id: "a\.\*" is not a NATS subject/);
    assert.match(refusal(`--node-name ${'n'.repeat(201)}`), /^--node-name: .* 200 characters at most/);
    assert.match(refusal('--max-msgs -1'), /^--max-msgs: "-1" is not a whole number, 0 or more/);
  });
});

describe('a command line of the Go server', () => {
  const works: [commandLine: string, check: (config: ReturnType<typeof resolve>) => void][] = [
    [
      '',
      ({ clusterId, store }) => assert.deepEqual([clusterId, store], ['test-cluster', { kind: 'memory' }]),
    ],
    [
      '-cid my-cluster -st FILE -dir /data/stan',
      ({ clusterId, store }) => {
        assert.equal(clusterId, 'my-cluster');
        assert.deepEqual(store, { kind: 'file', dir: '/data/stan', sync: true });
      },
    ],
    [
      '-store file --dir datastore -m 8222 --max_msgs 0 --max_bytes 0',
      ({ httpPort, channelLimits }) => {
        assert.equal(httpPort, 8222);
        assert.equal(channelLimits.global.maxMessages, 0);
        assert.equal(channelLimits.global.maxBytes, 0);
      },
    ],
    [
      '-st MEMORY -mc 5 -msu 6 -mm 7 -mb 10MB -ma 1h30m -mi 24h',
      ({ maxChannels, channelLimits }) => {
        assert.equal(maxChannels, 5);
        assert.deepEqual(channelLimits.global, {
          maxMessages: 7,
          maxBytes: 10 * 1024 * 1024,
          maxAgeMs: 5_400_000,
          maxSubscriptions: 6,
          maxInactivityMs: 86_400_000,
        });
      },
    ],
    [
      '-mc 9223372036854775807 -mm 9223372036854775807 -mb 9223372036854775807',
      ({ maxChannels, channelLimits: { global } }) => {
        const largest = Number.MAX_SAFE_INTEGER;
        assert.deepEqual([maxChannels, global.maxMessages, global.maxBytes], [largest, largest, largest]);
      },
    ],
    [
      '--cluster_id=c --nats_server=nats://u:secret@a:4333,nats://u:secret@b -hbi 5s -hbt 500ms -hbf 2',
      ({ nats, natsServer, heartbeatIntervalMs, heartbeatTimeoutMs, heartbeatFailCount }) => {
        assert.deepEqual(nats.servers, ['nats://a:4333', 'nats://b:4222']);
        assert.deepEqual([nats.user, nats.pass], ['u', 'secret']);
        assert.equal(natsServer, undefined);
        assert.deepEqual([heartbeatIntervalMs, heartbeatTimeoutMs, heartbeatFailCount], [5000, 500, 2]);
      },
    ],
    [
      '-ns tcp://u:p@a:4333,tcp://b,nats://c',
      ({ nats }) => {
        assert.deepEqual(nats.servers, ['nats://a:4333', 'nats://b:4222', 'nats://c:4222']);
        assert.deepEqual([nats.user, nats.pass], ['u', 'p']);
      },
    ],
    [
      '-a 127.0.0.1 -p 4333 -P /run/stan.pid -l /var/log/stan.log -T=false -SD -D',
      ({ natsServer, pidFile, log }) => {
        assert.deepEqual([natsServer?.host, natsServer?.port], ['127.0.0.1', 4333]);
        assert.equal(pidFile, '/run/stan.pid');
        assert.deepEqual(log, {
          level: 'debug',
          format: undefined,
          file: '/var/log/stan.log',
          withTime: false,
        });
      },
    ],
    [
      '-ns tls://h:4443 -secure -tls_client_cert c.pem -tls_client_key k.pem -tls_client_cacert ca.pem',
      ({ nats }) =>
        assert.deepEqual(nats.tls, {
          caFile: 'ca.pem',
          certFile: 'c.pem',
          keyFile: 'k.pem',
          serverName: undefined,
          skipVerify: true,
        }),
    ],
    [
      '--cluster nats://0.0.0.0:6222 --routes nats://a:6222,nats://b:6222 --cluster_name east --no_advertise --user u --pass p',
      ({ natsServer, nats }) => {
        assert.equal(natsServer?.clusterUrl, 'nats://0.0.0.0:6222');
        assert.equal(natsServer?.clusterName, 'east');
        assert.deepEqual(natsServer?.routes, ['nats://a:6222', 'nats://b:6222']);
        assert.deepEqual(natsServer?.flags, ['--no_advertise=true']);
        assert.deepEqual([nats.user, nats.pass], ['u', 'p']);
      },
    ],
    [
      '--tls=true --tlscert server.pem --tlskey server-key.pem',
      ({ natsServer, nats }) => {
        assert.deepEqual(natsServer?.flags, [
          '--tls=true',
          '--tlscert=server.pem',
          '--tlskey=server-key.pem',
        ]);
        assert.equal(nats.tls?.skipVerify, true);
      },
    ],
    ['-clustered=false -encrypt=false --syslog=false', ({ warnings }) => assert.deepEqual(warnings, [])],
  ];
  for (const [commandLine, check] of works) {
    it(`works: ${commandLine || '(empty)'}`, () => check(resolve(commandLine)));
  }

  const refused: [commandLine: string, message: RegExp][] = [
    ['-st SQL --sql_driver mysql', /^--sql_driver is not supported: there is no SQL store/],
    ['-st SQL', /^-st: "SQL" is not memory or file/],
    ['--clustered --cluster_node_id a', /^--clustered is not supported: there is no Raft/],
    ['-cluster_peers a,b', /^-cluster_peers is not supported/],
    ['--encrypt', /^--encrypt is not supported: the store is not encrypted/],
    ['--encryption_key k', /^--encryption_key is not supported/],
    ['-s', /^-s is not supported: the log goes to standard output/],
    ['-r udp://localhost:514', /^-r is not supported/],
    ['--file_slice_archive_script x', /^--file_slice_archive_script is not supported/],
    ['--ft_group g', /^--ft-group needs a store that its members share: add --store file/],
    ['--ft_group g -st file -dir d --ft_lease 50ms', /^--ft-lease must be from 200ms to 1m/],
    ['-sl stop', /^-sl is not supported: use kill -TERM/],
    ['-ms 8443', /^-ms is not supported: .* --http-port .* --http-tls-cert and --http-tls-key/],
  ];
  for (const [commandLine, message] of refused) {
    it(`is refused by name where it cannot be honoured: ${commandLine}`, () => {
      assert.match(refusal(commandLine), message);
    });
  }

  it('goes on with a warning that names each flag that only tuned the Go server', () => {
    const { warnings } = resolve(
      '-file_buffer_size 2MB --file_slice_max_msgs 10 --file_compact_enabled=false -file_crc -SV --io_batch_size 10',
    );
    assert.deepEqual(
      warnings.map((warning) => /^(\S+) (?:has no effect|does no more than --debug): /.exec(warning)?.[1]),
      [
        '-file_buffer_size',
        '--file_slice_max_msgs',
        '--file_compact_enabled',
        '-file_crc',
        '-SV',
        '--io_batch_size',
      ],
    );
  });

  it('has every flag of the table refused or noted, in every spelling', () => {
    for (const flag of GO_FLAGS) {
      for (const name of flag.names.flatMap((each) => [each, kebab(each)])) {
        if (flag.treatment === 'refused')
          assert.match(refusal(`--${name}=x`), new RegExp(`^--${name} is not supported`));
        else assert.match(resolve(`-${name}=3`).warnings.join(), new RegExp(`^-${name} `));
      }
    }
  });

  it('has all its flags known', () => {
    // All that nats-streaming-server 0.25 prints with --help.
    const usage = `cid cluster_id st store dir mc max_channels msu max_subs mm max_msgs mb max_bytes ma max_age mi
      max_inactivity ns nats_server sc stan_config hbi hb_interval hbt hb_timeout hbf hb_fail_count ft_group sl signal
      encrypt encryption_cipher encryption_key replace_durable clustered cluster_node_id cluster_bootstrap cluster_peers
      cluster_log_path cluster_log_cache_size cluster_log_snapshots cluster_trailing_logs cluster_sync
      cluster_raft_logging cluster_allow_add_remove_node file_compact_enabled file_compact_frag file_compact_interval
      file_compact_min_size file_buffer_size file_crc file_crc_poly file_sync file_slice_max_msgs file_slice_max_bytes
      file_slice_max_age file_slice_archive_script file_fds_limit file_parallel_recovery file_truncate_bad_eof
      file_read_buffer_size file_auto_sync sql_driver sql_source sql_no_caching sql_max_open_conns
      sql_bulk_insert_limit secure tls_client_key tls_client_cert tls_client_cacert SD stan_debug SV stan_trace SDV
      syslog_name a addr p port P pid m http_port ms https_port c config l log T logtime s syslog r remote_syslog D
      debug V trace DV user pass auth tls tlscert tlskey tlsverify tlscacert routes cluster h help v version help_tls`;
    for (const name of usage.split(/\s+/)) {
      try {
        parseFlags([`-${name}=x`]);
      } catch (error) {
        assert.match(String(error), /is not supported/, name);
      }
    }
  });
});

describe('options that do not fit together', () => {
  it('are refused', () => {
    assert.match(refusal('--store file'), /add --dir/);
    assert.match(refusal('--tls-cert c.pem'), /--tls-cert and --tls-key belong together/);
    assert.match(refusal('--auth t --user u'), /--auth and --user exclude each other/);
    assert.match(refusal('--creds a --nkey b'), /--creds and --nkey exclude each other/);
    assert.match(refusal('--pass p'), /--pass needs --user/);
    assert.match(refusal('-ns nats://u:p@h --user x'), /credentials in its URLs/);
    assert.match(refusal('-ns nats://u:p@h,nats://v:p@h'), /same user and password/);
    assert.match(refusal('-ns http://h:4222'), /"http:\/\/h:4222" is not a URL like nats:/);
    assert.match(refusal('-c a.yaml -sc b.yaml', {}, ''), /-c and -sc both name the config file/);
  });

  it('get a warning where one has no effect', () => {
    assert.deepEqual(resolve('--dir d').warnings, ['--dir has no effect with --store memory']);
    assert.deepEqual(resolve('-ns h -p 4333').warnings, [
      '-p has no effect with --nats-server: no nats-server is started',
    ]);
    for (const [flags, warning] of [
      ['--ft-lease 2s', '--ft-lease has no effect without --ft-group'],
      ['--nats-in-order', '--nats-in-order has no effect without --nats-server'],
      ['--debug --log-level warn', '--log-level has no effect with --debug'],
    ] as const)
      assert.deepEqual(resolve(flags).warnings, [warning]);
  });

  it('get no warning when a flag beats what a file has for another case', () => {
    assert.deepEqual(resolve('-ns h -c f', {}, 'port: 4333').warnings, []);
    assert.deepEqual(resolve('-c f', {}, 'nats-server: h\nport: 4333').warnings, [
      'config file f: port has no effect with --nats-server: no nats-server is started',
    ]);
  });
});
