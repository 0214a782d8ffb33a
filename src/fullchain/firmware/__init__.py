"""Firmware: from a trained tagger to synthesised, bit-exact RTL.

In: jets of the stage `jets` (and scores of the stage `tagging`, where a tagger is distilled). Out:
fixed-point networks and trees, their HLS and Verilog projects, emulations that are compared bit for
bit, synthesis reports, trigger rates and efficiencies.

Papers: hls4ml (Duarte et al., arXiv:1804.06913), quantisation-aware training of triggers (Coelho et
al., arXiv:2006.10159), HGQ (Sun et al., arXiv:2405.00645), da4ml (Sun et al., arXiv:2507.04535),
conifer (Summers et al., arXiv:2002.02534), anomaly detection in triggers (Govorkova et al.,
arXiv:2108.03986).
"""
