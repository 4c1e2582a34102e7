CREATE TABLE `session` (
  `id` text PRIMARY KEY,
  `project_id` text NOT NULL,
  `workspace_id` text,
  `parent_id` text,
  `slug` text NOT NULL,
  `directory` text NOT NULL,
  `path` text,
  `title` text NOT NULL,
  `version` text NOT NULL,
  `share_url` text,
  `summary_additions` integer,
  `summary_deletions` integer,
  `summary_files` integer,
  `summary_diffs` text,
  `metadata` text,
  `cost` real DEFAULT 0 NOT NULL,
  `tokens_input` integer DEFAULT 0 NOT NULL,
  `tokens_output` integer DEFAULT 0 NOT NULL,
  `tokens_reasoning` integer DEFAULT 0 NOT NULL,
  `tokens_cache_read` integer DEFAULT 0 NOT NULL,
  `tokens_cache_write` integer DEFAULT 0 NOT NULL,
  `revert` text,
  `permission` text,
  `agent` text,
  `model` text,
  `time_created` integer NOT NULL,
  `time_updated` integer NOT NULL,
  `time_compacting` integer,
  `time_archived` integer,
  CONSTRAINT `fk_session_project_id_project_id_fk` FOREIGN KEY (`project_id`) REFERENCES `project`(`id`) ON DELETE CASCADE
);
CREATE TABLE `message` (
  `id` text PRIMARY KEY,
  `session_id` text NOT NULL,
  `time_created` integer NOT NULL,
  `time_updated` integer NOT NULL,
  `data` text NOT NULL,
  CONSTRAINT `fk_message_session_id_session_id_fk` FOREIGN KEY (`session_id`) REFERENCES `session`(`id`) ON DELETE CASCADE
);
CREATE TABLE `part` (
  `id` text PRIMARY KEY,
  `message_id` text NOT NULL,
  `session_id` text NOT NULL,
  `time_created` integer NOT NULL,
  `time_updated` integer NOT NULL,
  `data` text NOT NULL,
  CONSTRAINT `fk_part_message_id_message_id_fk` FOREIGN KEY (`message_id`) REFERENCES `message`(`id`) ON DELETE CASCADE
);
CREATE INDEX `message_session_time_created_id_idx` ON `message` (`session_id`,`time_created`,`id`);
CREATE INDEX `part_message_id_id_idx` ON `part` (`message_id`,`id`);
CREATE INDEX `part_session_idx` ON `part` (`session_id`);
CREATE INDEX `session_project_idx` ON `session` (`project_id`);
CREATE INDEX `session_workspace_idx` ON `session` (`workspace_id`);
CREATE INDEX `session_parent_idx` ON `session` (`parent_id`);
INSERT INTO session VALUES ('ses_dd66d1409ffeac6ht6q67gbp53', 'global', NULL, NULL, 'shiny-squid', '/home/dev/src/proj', '', 'New session - 2026-11-29T23:10:24.271Z', '1.18.33', NULL, 0, 0, 0, NULL, NULL, 0.0, 0, 0, 0, 0, 0, NULL, '[{"permission":"question","pattern":"*","action":"deny"},{"permission":"plan_enter","pattern":"*","action":"deny"},{"permission":"plan_exit","pattern":"*","action":"deny"}]', 'build', '{"id":"mock-model","providerID":"mock","variant":"default"}', 1795993824271, 1795993834475, NULL, NULL);
INSERT INTO session VALUES ('ses_dd66b39e7ffeWHkKaNZWiJw1Tl', 'global', NULL, NULL, 'silent-wolf', '/home/dev/src/proj', '', 'New session - 2026-11-29T23:12:25.628Z', '1.18.33', NULL, 0, 0, 0, NULL, NULL, 0.0061083000000000005, 5400, 281, 42, 623, 0, NULL, '[{"permission":"question","pattern":"*","action":"deny"},{"permission":"plan_enter","pattern":"*","action":"deny"},{"permission":"plan_exit","pattern":"*","action":"deny"}]', 'build', '{"id":"mock-model","providerID":"mock","variant":"default"}', 1795993945628, 1795994011361, NULL, NULL);
INSERT INTO session VALUES ('ses_dd66a777effe3ZR1bjFQMNJtuv', 'global', NULL, 'ses_dd66b39e7ffeWHkKaNZWiJw1Tl', 'stellar-wizard', '/home/dev/src/proj', '', 'look (@general subagent)', '1.18.33', NULL, 0, 0, 0, NULL, NULL, 0.0010205, 900, 48, 7, 105, 0, NULL, '[{"permission":"question","pattern":"*","action":"deny"},{"permission":"plan_enter","pattern":"*","action":"deny"},{"permission":"plan_exit","pattern":"*","action":"deny"},{"permission":"task","pattern":"*","action":"deny"}]', 'general', '{"id":"mock-model","providerID":"mock","variant":"default"}', 1795993995393, 1795993999416, NULL, NULL);
INSERT INTO message VALUES ('msg_22992f1b0001XZ6yPtgor5L3ib', 'ses_dd66d1409ffeac6ht6q67gbp53', 1795993825712, 1795993834608, '{"role":"user","time":{"created":1795993825712},"agent":"build","model":{"providerID":"mock","modelID":"mock-model"},"summary":{"diffs":[]}}');
INSERT INTO message VALUES ('msg_229930ac5001hCnpn3HiTRxyLw', 'ses_dd66d1409ffeac6ht6q67gbp53', 1795993832133, 1795993909561, '{"parentID":"msg_22992f1b0001XZ6yPtgor5L3ib","role":"assistant","mode":"build","agent":"build","path":{"cwd":"/home/dev/src/proj","root":"/home/dev/src/proj"},"cost":0,"tokens":{"input":0,"output":0,"reasoning":0,"cache":{"read":0,"write":0}},"modelID":"mock-model","providerID":"mock","time":{"created":1795993832133,"completed":1795993909500},"error":{"name":"APIError","data":{"message":"Cannot connect to API: Unable to connect. Is the computer able to access the url?","isRetryable":true,"metadata":{"url":"http://127.0.0.1:4096/v1/chat/completions"}}}}');
INSERT INTO message VALUES ('msg_22994cb5e001OW3Zj0LEDSOhXk', 'ses_dd66b39e7ffeWHkKaNZWiJw1Tl', 1795993946998, 1795994009827, '{"role":"user","time":{"created":1795993946998},"agent":"build","model":{"providerID":"mock","modelID":"mock-model"},"summary":{"diffs":[]}}');
INSERT INTO message VALUES ('msg_22994fc15001Hg03zofnzJkpou', 'ses_dd66b39e7ffeWHkKaNZWiJw1Tl', 1795993959445, 1795993984987, '{"parentID":"msg_22994cb5e001OW3Zj0LEDSOhXk","role":"assistant","mode":"build","agent":"build","path":{"cwd":"/home/dev/src/proj","root":"/home/dev/src/proj"},"cost":0.0010121,"tokens":{"total":1052,"input":900,"output":44,"reasoning":7,"cache":{"write":0,"read":101}},"modelID":"mock-model","providerID":"mock","time":{"created":1795993959445,"completed":1795993984977},"finish":"tool-calls"}');
INSERT INTO message VALUES ('msg_229956058001KfheBkU7YBxH1S', 'ses_dd66b39e7ffeWHkKaNZWiJw1Tl', 1795993985113, 1795993989977, '{"parentID":"msg_22994cb5e001OW3Zj0LEDSOhXk","role":"assistant","mode":"build","agent":"build","path":{"cwd":"/home/dev/src/proj","root":"/home/dev/src/proj"},"cost":0.0010142,"tokens":{"total":1054,"input":900,"output":45,"reasoning":7,"cache":{"write":0,"read":102}},"modelID":"mock-model","providerID":"mock","time":{"created":1795993985113,"completed":1795993989975},"finish":"tool-calls"}');
INSERT INTO message VALUES ('msg_2299573d0001uMBAa7qw97YTzD', 'ses_dd66b39e7ffeWHkKaNZWiJw1Tl', 1795993990096, 1795993993885, '{"parentID":"msg_22994cb5e001OW3Zj0LEDSOhXk","role":"assistant","mode":"build","agent":"build","path":{"cwd":"/home/dev/src/proj","root":"/home/dev/src/proj"},"cost":0.0010163,"tokens":{"total":1056,"input":900,"output":46,"reasoning":7,"cache":{"write":0,"read":103}},"modelID":"mock-model","providerID":"mock","time":{"created":1795993990096,"completed":1795993993882},"finish":"tool-calls"}');
INSERT INTO message VALUES ('msg_229958306001W4LeX8DTfcE4K5', 'ses_dd66b39e7ffeWHkKaNZWiJw1Tl', 1795993993990, 1795994000680, '{"parentID":"msg_22994cb5e001OW3Zj0LEDSOhXk","role":"assistant","mode":"build","agent":"build","path":{"cwd":"/home/dev/src/proj","root":"/home/dev/src/proj"},"cost":0.0010184,"tokens":{"total":1058,"input":900,"output":47,"reasoning":7,"cache":{"write":0,"read":104}},"modelID":"mock-model","providerID":"mock","time":{"created":1795993993990,"completed":1795994000675},"finish":"tool-calls"}');
INSERT INTO message VALUES ('msg_229958934001ji0YV1GFLSJO4H', 'ses_dd66a777effe3ZR1bjFQMNJtuv', 1795993995592, 1795994003637, '{"role":"user","time":{"created":1795993995592},"agent":"general","model":{"providerID":"mock","modelID":"mock-model"},"summary":{"diffs":[]}}');
INSERT INTO message VALUES ('msg_229958b18001U0EDLO78iJrRB5', 'ses_dd66a777effe3ZR1bjFQMNJtuv', 1795993996056, 1795993999193, '{"parentID":"msg_229958934001ji0YV1GFLSJO4H","role":"assistant","mode":"general","agent":"general","path":{"cwd":"/home/dev/src/proj","root":"/home/dev/src/proj"},"cost":0.0010205,"tokens":{"total":1060,"input":900,"output":48,"reasoning":7,"cache":{"write":0,"read":105}},"modelID":"mock-model","providerID":"mock","time":{"created":1795993996056,"completed":1795993999190},"finish":"stop"}');
INSERT INTO message VALUES ('msg_229959d960014Rq4FI7Oud5LcH', 'ses_dd66b39e7ffeWHkKaNZWiJw1Tl', 1795994000828, 1795994005530, '{"parentID":"msg_22994cb5e001OW3Zj0LEDSOhXk","role":"assistant","mode":"build","agent":"build","path":{"cwd":"/home/dev/src/proj","root":"/home/dev/src/proj"},"cost":0.0010226,"tokens":{"total":1062,"input":900,"output":49,"reasoning":7,"cache":{"write":0,"read":106}},"modelID":"mock-model","providerID":"mock","time":{"created":1795994000828,"completed":1795994005500},"finish":"tool-calls"}');
INSERT INTO message VALUES ('msg_22995b0c0001eQZxo21VERc900', 'ses_dd66b39e7ffeWHkKaNZWiJw1Tl', 1795994005696, 1795994010897, '{"parentID":"msg_22994cb5e001OW3Zj0LEDSOhXk","role":"assistant","mode":"build","agent":"build","path":{"cwd":"/home/dev/src/proj","root":"/home/dev/src/proj"},"cost":0.0010247,"tokens":{"total":1064,"input":900,"output":50,"reasoning":7,"cache":{"write":0,"read":107}},"modelID":"mock-model","providerID":"mock","time":{"created":1795994005696,"completed":1795994010895},"finish":"stop"}');
INSERT INTO part VALUES ('prt_22992f201001i78JA9fAAau7sr', 'msg_22992f1b0001XZ6yPtgor5L3ib', 'ses_dd66d1409ffeac6ht6q67gbp53', 1795993831942, 1795993831947, '{"type":"text","text":"\"CALL bash {\\\"command\\\":\\\"echo hello\\\",\\\"description\\\":\\\"say\\\"} CALL bash {\\\"command\\\":\\\"exit 3\\\",\\\"description\\\":\\\"fail\\\"} CALL bash {\\\"command\\\":\\\"rm x\\\",\\\"description\\\":\\\"denied\\\"} CALL task {\\\"description\\\":\\\"look\\\",\\\"prompt\\\":\\\"say hi\\\",\\\"subagent_type\\\":\\\"general\\\"} CALL todowrite {\\\"todos\\\":[{\\\"content\\\":\\\"first\\\",\\\"status\\\":\\\"in_progress\\\",\\\"priority\\\":\\\"high\\\"}]} THINK deep\""}');
INSERT INTO part VALUES ('prt_22994cc1d001vIrtxuqxqsDGGO', 'msg_22994cb5e001OW3Zj0LEDSOhXk', 'ses_dd66b39e7ffeWHkKaNZWiJw1Tl', 1795993959218, 1795993959241, '{"type":"text","text":"\"CALL bash {\\\"command\\\":\\\"echo hello\\\",\\\"description\\\":\\\"say\\\"} CALL bash {\\\"command\\\":\\\"exit 3\\\",\\\"description\\\":\\\"fail\\\"} CALL bash {\\\"command\\\":\\\"rm x\\\",\\\"description\\\":\\\"denied\\\"} CALL task {\\\"description\\\":\\\"look\\\",\\\"prompt\\\":\\\"say hi\\\",\\\"subagent_type\\\":\\\"general\\\"} CALL todowrite {\\\"todos\\\":[{\\\"content\\\":\\\"first\\\",\\\"status\\\":\\\"in_progress\\\",\\\"priority\\\":\\\"high\\\"}]} THINK deep\""}');
INSERT INTO part VALUES ('prt_22995421d001DbBbc4ApN0JUhw', 'msg_22994fc15001Hg03zofnzJkpou', 'ses_dd66b39e7ffeWHkKaNZWiJw1Tl', 1795993977373, 1795993977436, '{"snapshot":"57ee0393dcc3f9a0731b9ae0036b1e78ebb2cca5","type":"step-start"}');
INSERT INTO part VALUES ('prt_22995427a001R9oQpI5CAfHIyy', 'msg_22994fc15001Hg03zofnzJkpou', 'ses_dd66b39e7ffeWHkKaNZWiJw1Tl', 1795993977467, 1795993977616, '{"type":"reasoning","text":"thinking of deep","time":{"start":1795993977466,"end":1795993977591}}');
INSERT INTO part VALUES ('prt_22995433f001l0PGupQfM05hyM', 'msg_22994fc15001Hg03zofnzJkpou', 'ses_dd66b39e7ffeWHkKaNZWiJw1Tl', 1795993977664, 1795993981829, '{"type":"tool","tool":"bash","callID":"call_1","state":{"status":"completed","input":{"command":"echo hello","description":"say"},"output":"hello\n","metadata":{"output":"hello\n","exit":0,"truncated":false},"title":"echo hello","time":{"start":1795993977943,"end":1795993981663}}}');
INSERT INTO part VALUES ('prt_229955b81001H6VIccMjnxmlkk', 'msg_22994fc15001Hg03zofnzJkpou', 'ses_dd66b39e7ffeWHkKaNZWiJw1Tl', 1795993983874, 1795993983912, '{"reason":"tool-calls","snapshot":"57ee0393dcc3f9a0731b9ae0036b1e78ebb2cca5","type":"step-finish","tokens":{"total":1052,"input":900,"output":44,"reasoning":7,"cache":{"write":0,"read":101}},"cost":0.0010121}');
INSERT INTO part VALUES ('prt_2299567fd001QVrMdud6Ohid5C', 'msg_229956058001KfheBkU7YBxH1S', 'ses_dd66b39e7ffeWHkKaNZWiJw1Tl', 1795993987093, 1795993987127, '{"snapshot":"57ee0393dcc3f9a0731b9ae0036b1e78ebb2cca5","type":"step-start"}');
INSERT INTO part VALUES ('prt_229956846001mtUMAyqmtvl9Qz', 'msg_229956058001KfheBkU7YBxH1S', 'ses_dd66b39e7ffeWHkKaNZWiJw1Tl', 1795993987142, 1795993987235, '{"type":"reasoning","text":"thinking of deep","time":{"start":1795993987142,"end":1795993987207}}');
INSERT INTO part VALUES ('prt_2299568c0001IysQCwtKeTodqZ', 'msg_229956058001KfheBkU7YBxH1S', 'ses_dd66b39e7ffeWHkKaNZWiJw1Tl', 1795993987264, 1795993988040, '{"type":"tool","tool":"bash","callID":"call_2","state":{"status":"completed","input":{"command":"exit 3","description":"fail"},"output":"(no output)","metadata":{"output":"(no output)","exit":3,"truncated":false},"title":"exit 3","time":{"start":1795993987444,"end":1795993987993}}}');
INSERT INTO part VALUES ('prt_229956fa9001OwsBls3LBMe3c3', 'msg_229956058001KfheBkU7YBxH1S', 'ses_dd66b39e7ffeWHkKaNZWiJw1Tl', 1795993989033, 1795993989036, '{"reason":"tool-calls","snapshot":"57ee0393dcc3f9a0731b9ae0036b1e78ebb2cca5","type":"step-finish","tokens":{"total":1054,"input":900,"output":45,"reasoning":7,"cache":{"write":0,"read":102}},"cost":0.0010142}');
INSERT INTO part VALUES ('prt_2299578f0001pYjI0HY0Gq5D1W', 'msg_2299573d0001uMBAa7qw97YTzD', 'ses_dd66b39e7ffeWHkKaNZWiJw1Tl', 1795993991408, 1795993991493, '{"snapshot":"57ee0393dcc3f9a0731b9ae0036b1e78ebb2cca5","type":"step-start"}');
INSERT INTO part VALUES ('prt_22995796b001ojI64FNOeDsycR', 'msg_2299573d0001uMBAa7qw97YTzD', 'ses_dd66b39e7ffeWHkKaNZWiJw1Tl', 1795993991531, 1795993991636, '{"type":"reasoning","text":"thinking of deep","time":{"start":1795993991531,"end":1795993991605}}');
INSERT INTO part VALUES ('prt_2299579f0001o3aUo9B5WhGFtQ', 'msg_2299573d0001uMBAa7qw97YTzD', 'ses_dd66b39e7ffeWHkKaNZWiJw1Tl', 1795993991665, 1795993991945, '{"type":"tool","tool":"bash","callID":"call_3","state":{"status":"error","input":{"command":"rm x","description":"denied"},"error":"The user has specified a rule which prevents you from using this specific tool call. Here are some of the relevant rules [{\"permission\":\"*\",\"action\":\"allow\",\"pattern\":\"*\"},{\"permission\":\"bash\",\"pattern\":\"*\",\"action\":\"allow\"},{\"permission\":\"bash\",\"pattern\":\"rm *\",\"action\":\"deny\"},{\"permission\":\"bash\",\"pattern\":\"curl *\",\"action\":\"ask\"}]","time":{"start":1795993991798,"end":1795993991941}}}');
INSERT INTO part VALUES ('prt_2299580070018akHWIJuIp8t6E', 'msg_2299573d0001uMBAa7qw97YTzD', 'ses_dd66b39e7ffeWHkKaNZWiJw1Tl', 1795993993224, 1795993993227, '{"reason":"tool-calls","snapshot":"57ee0393dcc3f9a0731b9ae0036b1e78ebb2cca5","type":"step-finish","tokens":{"total":1056,"input":900,"output":46,"reasoning":7,"cache":{"write":0,"read":103}},"cost":0.0010163}');
INSERT INTO part VALUES ('prt_2299587070019K4ItE2yfjJCAj', 'msg_229958306001W4LeX8DTfcE4K5', 'ses_dd66b39e7ffeWHkKaNZWiJw1Tl', 1795993995015, 1795993995063, '{"snapshot":"57ee0393dcc3f9a0731b9ae0036b1e78ebb2cca5","type":"step-start"}');
INSERT INTO part VALUES ('prt_22995874f001llA7VRDMnnObhO', 'msg_229958306001W4LeX8DTfcE4K5', 'ses_dd66b39e7ffeWHkKaNZWiJw1Tl', 1795993995088, 1795993995208, '{"type":"reasoning","text":"thinking of deep","time":{"start":1795993995087,"end":1795993995173}}');
INSERT INTO part VALUES ('prt_2299587e2001L9BnBFlSAxdQhV', 'msg_229958306001W4LeX8DTfcE4K5', 'ses_dd66b39e7ffeWHkKaNZWiJw1Tl', 1795993995247, 1795993999358, '{"type":"tool","tool":"task","callID":"call_4","state":{"status":"completed","input":{"description":"look","prompt":"say hi","subagent_type":"general"},"output":"<task id=\"ses_dd66a777effe3ZR1bjFQMNJtuv\" state=\"completed\">\n<task_result>\nAll done.\n</task_result>\n</task>","metadata":{"parentSessionId":"ses_dd66b39e7ffeWHkKaNZWiJw1Tl","sessionId":"ses_dd66a777effe3ZR1bjFQMNJtuv","model":{"modelID":"mock-model","providerID":"mock"},"truncated":false},"title":"look","time":{"start":1795993995463,"end":1795993999342}}}');
INSERT INTO part VALUES ('prt_229958989001g43h8ZzhT2cPvl', 'msg_229958934001ji0YV1GFLSJO4H', 'ses_dd66a777effe3ZR1bjFQMNJtuv', 1795993995764, 1795993995788, '{"type":"text","text":"say hi"}');
INSERT INTO part VALUES ('prt_22995905b001Q6uAcYYPLqhwWJ', 'msg_229958b18001U0EDLO78iJrRB5', 'ses_dd66a777effe3ZR1bjFQMNJtuv', 1795993997403, 1795993997406, '{"snapshot":"57ee0393dcc3f9a0731b9ae0036b1e78ebb2cca5","type":"step-start"}');
INSERT INTO part VALUES ('prt_229959083001LJpcOxujEFlMNz', 'msg_229958b18001U0EDLO78iJrRB5', 'ses_dd66a777effe3ZR1bjFQMNJtuv', 1795993997444, 1795993997528, '{"type":"text","text":"All done.","time":{"start":1795993997443,"end":1795993997515}}');
INSERT INTO part VALUES ('prt_2299594a5001q2h02Sxpr41rdh', 'msg_229958b18001U0EDLO78iJrRB5', 'ses_dd66a777effe3ZR1bjFQMNJtuv', 1795993998501, 1795993998505, '{"reason":"stop","snapshot":"57ee0393dcc3f9a0731b9ae0036b1e78ebb2cca5","type":"step-finish","tokens":{"total":1060,"input":900,"output":48,"reasoning":7,"cache":{"write":0,"read":105}},"cost":0.0010205}');
INSERT INTO part VALUES ('prt_229959aec001aLld3BSc3QuSwQ', 'msg_229958306001W4LeX8DTfcE4K5', 'ses_dd66b39e7ffeWHkKaNZWiJw1Tl', 1795994000108, 1795994000111, '{"reason":"tool-calls","snapshot":"57ee0393dcc3f9a0731b9ae0036b1e78ebb2cca5","type":"step-finish","tokens":{"total":1058,"input":900,"output":47,"reasoning":7,"cache":{"write":0,"read":104}},"cost":0.0010184}');
INSERT INTO part VALUES ('prt_22995a3f9001qWvnGKZMS1lVot', 'msg_229959d960014Rq4FI7Oud5LcH', 'ses_dd66b39e7ffeWHkKaNZWiJw1Tl', 1795994002425, 1795994002444, '{"snapshot":"57ee0393dcc3f9a0731b9ae0036b1e78ebb2cca5","type":"step-start"}');
INSERT INTO part VALUES ('prt_22995a40e001XgHBDASJkdvrT3', 'msg_229959d960014Rq4FI7Oud5LcH', 'ses_dd66b39e7ffeWHkKaNZWiJw1Tl', 1795994002468, 1795994002530, '{"type":"reasoning","text":"thinking of deep","time":{"start":1795994002467,"end":1795994002508}}');
INSERT INTO part VALUES ('prt_22995a470001NPqQl4r3jtAVsB', 'msg_229959d960014Rq4FI7Oud5LcH', 'ses_dd66b39e7ffeWHkKaNZWiJw1Tl', 1795994002545, 1795994002911, '{"type":"tool","tool":"todowrite","callID":"call_6","state":{"status":"completed","input":{"todos":[{"content":"first","status":"in_progress","priority":"high"}]},"output":"[\n  {\n    \"content\": \"first\",\n    \"status\": \"in_progress\",\n    \"priority\": \"high\"\n  }\n]","metadata":{"todos":[{"content":"first","status":"in_progress","priority":"high"}],"truncated":false},"title":"1 todos","time":{"start":1795994002761,"end":1795994002879}}}');
INSERT INTO part VALUES ('prt_22995ac6f0012mw0tcOWZ72afO', 'msg_229959d960014Rq4FI7Oud5LcH', 'ses_dd66b39e7ffeWHkKaNZWiJw1Tl', 1795994004591, 1795994004593, '{"reason":"tool-calls","snapshot":"57ee0393dcc3f9a0731b9ae0036b1e78ebb2cca5","type":"step-finish","tokens":{"total":1062,"input":900,"output":49,"reasoning":7,"cache":{"write":0,"read":106}},"cost":0.0010226}');
INSERT INTO part VALUES ('prt_22995babe001jonCdoYWxGWaOy', 'msg_22995b0c0001eQZxo21VERc900', 'ses_dd66b39e7ffeWHkKaNZWiJw1Tl', 1795994008275, 1795994008300, '{"snapshot":"57ee0393dcc3f9a0731b9ae0036b1e78ebb2cca5","type":"step-start"}');
INSERT INTO part VALUES ('prt_22995bb2f001oEggaKsLrGjoyz', 'msg_22995b0c0001eQZxo21VERc900', 'ses_dd66b39e7ffeWHkKaNZWiJw1Tl', 1795994008368, 1795994008523, '{"type":"reasoning","text":"thinking of deep","time":{"start":1795994008368,"end":1795994008476}}');
INSERT INTO part VALUES ('prt_22995bbe30015tSyzdeHzp09RY', 'msg_22995b0c0001eQZxo21VERc900', 'ses_dd66b39e7ffeWHkKaNZWiJw1Tl', 1795994008548, 1795994008787, '{"type":"text","text":"All done.","time":{"start":1795994008547,"end":1795994008670}}');
INSERT INTO part VALUES ('prt_22995c301001rap1bA0h5fR7lJ', 'msg_22995b0c0001eQZxo21VERc900', 'ses_dd66b39e7ffeWHkKaNZWiJw1Tl', 1795994010369, 1795994010371, '{"reason":"stop","snapshot":"57ee0393dcc3f9a0731b9ae0036b1e78ebb2cca5","type":"step-finish","tokens":{"total":1064,"input":900,"output":50,"reasoning":7,"cache":{"write":0,"read":107}},"cost":0.0010247}');
