"""The flags that say which tokens go on from layer to layer, and what `inspect` tells of the cuts."""

from cli_support import CliTest


class Propagation(CliTest):
    def report(self, *arguments, **options):
        return self.succeeds(self.inspect("--new-tokens", 1, "--no-positions", *arguments, **options)).json()

    def cuts(self, *arguments, **options):
        return [(cut["layer"], cut["tokens_in"], cut["tokens_out"])
                for cut in self.report(*arguments, **options)["cuts"]]

    def test_the_default_is_fastkvs_cut(self):
        report = self.report()
        self.assertEqual(report["tsp_rule"], "fastkv")
        self.assertEqual(report["cuts"], [{"layer": 1, "before_mlp": False, "tokens_in": 200, "tokens_out": 40}])
        self.assertEqual(self.cuts("--tsp-layer", 2, "--tsp-rate", 0.5), [(2, 200, 100)])
        self.assertEqual(self.cuts("--method", "snapkv"), [])
        self.assertIsNone(self.report("--method", "snapkv")["tsp_rule"])

    def test_a_schedule(self):
        schedule = ("--tsp-layers", "0,2", "--tsp-rates", "0.5,0.2")
        self.assertEqual(self.cuts(*schedule), [(0, 200, 100), (2, 100, 40)])
        self.assertEqual(self.report(*schedule)["tsp_rule"], "schedule")
        self.assertEqual(self.cuts("--method", "h2o", *schedule), [(0, 200, 100), (2, 100, 40)])
        self.assertEqual(self.cuts("--method", "full", *schedule), [])

    def test_flags_choose_their_rule(self):
        for rule, *flags in (("asl", "--tsp-layer", "auto"), ("claa", "--tsp-votes", 2), ("mass", "--tsp-mass", 0.5),
                             ("entropy", "--tsp-entropy", 1), ("uniprefill", "--tsp-rule", "uniprefill"),
                             ("promptdistill", "--tsp-rule", "promptdistill"),
                             ("fastkv", "--tsp-rule", "fastkv", "--tsp-votes", 2, "--tsp-mass", 0.5)):
            with self.subTest(rule):
                self.assertEqual(self.report(*flags)["tsp_rule"], rule)
        self.assertEqual(self.report(env={"FASTKV_TSP_RULE": "claa"})["tsp_rule"], "claa")

    def test_what_is_decided_is_told(self):
        self.assertEqual(self.cuts("--tsp-layer", "auto", "--asl-threshold", 2), [(1, 200, 40)])
        self.assertEqual(self.cuts("--tsp-layer", "auto", "--asl-threshold", 0), [])
        self.assertEqual(self.cuts("--tsp-layer", "auto", "--asl-threshold", 2, "--asl-first-layer", 2), [(2, 200, 40)])
        (layer, tokens_in, tokens_out), = self.cuts("--tsp-mass", 0.1, "--tsp-rate", 0.9)
        self.assertEqual((layer, tokens_in, tokens_out % 64), (1, 200, 0))
        self.assertEqual(self.cuts("--tsp-votes", 2, "--tsp-layer", 2), [(2, 200, 40)])
        small = ("--tsp-rule", "uniprefill", "--tsp-layers", "1", "--block-size", 16, "--block-sinks", 16,
                 "--block-window", 16)
        cut, = self.report(*small, "--block-mass", 0)["cuts"]
        self.assertTrue(cut["before_mlp"])
        self.assertLessEqual(cut["tokens_out"], 48)
        self.assertEqual(self.cuts(*small, "--block-mass", 1), [])

    def test_wrong_flags(self):
        for flags, *named in ((("--tsp-mass", 0.5, "--tsp-votes", 2), "--tsp-mass", "--tsp-votes", "--tsp-rule"),
                              (("--tsp-layer", "auto", "--tsp-votes", 2), "--tsp-layer auto"),
                              (("--tsp-layer", "seven"), "--tsp-layer", "seven"),
                              (("--tsp-layer", "1.5"), "--tsp-layer"),
                              (("--tsp-layer", -1), "--tsp-layer"),
                              (("--tsp-rule", "tsp"), "fastkv, schedule"),
                              (("--tsp-layers", "0,1"), "--tsp-rates"),
                              (("--tsp-layers", "0,a"), "--tsp-layers"),
                              (("--tsp-layers", "1,3", "--tsp-rates", "0.5,0.2"), "--tsp-layers", "0 to 2"),
                              (("--tsp-mass", 2), "--tsp-mass"),
                              (("--tsp-votes", 9), "--tsp-votes", "1 to 2"),
                              (("--vote-heads", "mean"), "--vote-heads"),
                              (("--tsp-layer", "auto", "--asl-layers", 9), "--asl-layers")):
            with self.subTest(flags):
                self.fails(self.inspect(*flags), 2, *named)
