from glmha_hf.demo.app import launch

launch()
